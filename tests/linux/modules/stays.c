/* Cannot be unloaded: it has no exit. */
#include <linux/init.h>
#include <linux/module.h>

static int __init stays_init(void)
{
	return 0;
}

module_init(stays_init);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Has no exit");
