/* holder: counts itself through THIS_MODULE, as its parameter says; has a constructor and a destructor. */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static int uses;
module_param(uses, int, 0444);
static char *word = "none";
module_param(word, charp, 0444);
static int list[4];
static int listed;
module_param_array(list, int, &listed, 0444);
static int constructed;

static void __attribute__((constructor)) first(void)
{
	constructed = 1;
}

static void __attribute__((destructor)) last(void)
{
	printk(KERN_INFO "holder: destroyed\n");
}

static int __init holder_init(void)
{
	int i;

	for (i = 0; i < uses; i++)
		if (!try_module_get(THIS_MODULE))
			return -1;
	printk(KERN_INFO "holder: constructed %d, uses %d, word %s, list %d of %d\n", constructed,
	       module_refcount(THIS_MODULE), word, listed ? list[listed - 1] : 0, listed);
	for (i = 0; i < uses; i++)
		module_put(THIS_MODULE);
	return 0;
}

static void __exit holder_exit(void)
{
	printk(KERN_INFO "holder: goes\n");
}

module_init(holder_init);
module_exit(holder_exit);
MODULE_LICENSE("Dual MIT/GPL");
