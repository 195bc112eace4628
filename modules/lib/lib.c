/* lib: functions for other modules. */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>

static int calls;

int lib_add(int a, int b);
const char *lib_greeting(void);

int lib_add(int a, int b)
{
	__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
	return (int)((unsigned int)a + (unsigned int)b);
}
EXPORT_SYMBOL(lib_add);

/* Only for modules whose licence is compatible with the GPL. */
const char *lib_greeting(void)
{
	__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
	return "greetings from lib";
}
EXPORT_SYMBOL_GPL(lib_greeting);

static int __init lib_init(void)
{
	printk(KERN_INFO "lib: ready\n");
	return 0;
}

static void __exit lib_exit(void)
{
	printk(KERN_INFO "lib: %d calls\n", calls);
}

module_init(lib_init);
module_exit(lib_exit);

MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("Functions for other modules");
