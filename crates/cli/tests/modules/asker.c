/* asker: its init asks for another module, and says what came of it. */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/kmod.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static char *name = "hello";
module_param(name, charp, 0444);

static int __init asker_init(void)
{
	int got = request_module("%s", name);

	printk(KERN_INFO "asker: %s: %d\n", name, got);
	return got;
}

static void __exit asker_exit(void)
{
}

module_init(asker_init);
module_exit(asker_exit);
MODULE_LICENSE("Dual MIT/GPL");
