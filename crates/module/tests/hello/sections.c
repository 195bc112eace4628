/* What is needed at the start only. */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>

static int number __initdata = 3;
static const char text[] __initconst = "only for now";
static int last __exitdata = 4;

static int __init start(void)
{
	pr_info("Hello, world %d, %s\n", number++, text);
	return 0;
}

static void __exit stop(void)
{
	pr_info("Goodbye, world %d\n", last--);
}

module_init(start);
module_exit(stop);

MODULE_LICENSE("GPL");
