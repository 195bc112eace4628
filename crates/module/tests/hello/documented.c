/* What a module can say of itself. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>

#define WHO "A. Author <author@example.org>"

static const int table[] = { 1, 2, 0 };

static int __init start(void)
{
	pr_info("Hello, world 4\n");
	pr_debug("not to be seen %d\n", 1);
	pr_info_once("once\n");
	return 0;
}

static void __exit stop(void)
{
	pr_info("Goodbye, world 4\n");
}

module_init(start);
module_exit(stop);

MODULE_LICENSE("GPL v2");
MODULE_AUTHOR(WHO);
MODULE_DESCRIPTION("A sample");
MODULE_VERSION("1.0");
MODULE_ALIAS("hello-sample");
MODULE_SOFTDEP("pre: one post: two");
MODULE_INFO(intree, "Y");
MODULE_SUPPORTED_DEVICE("testdevice");
MODULE_DEVICE_TABLE(of, table);
