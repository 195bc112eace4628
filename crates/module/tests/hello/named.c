/* Functions of any name. */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/printk.h>

static int start(void)
{
	pr_info("Hello, world 2\n");
	return 0;
}

static void stop(void)
{
	pr_info("Goodbye, world 2\n");
}

module_init(start);
module_exit(stop);

MODULE_LICENSE("GPL");
