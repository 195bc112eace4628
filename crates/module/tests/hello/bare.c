/* The least a module is: the two functions by their own names. */
#include <linux/kernel.h>
#include <linux/module.h>

int init_module(void)
{
	printk(KERN_INFO "Hello, world 1.\n");
	/* Anything but 0 would mean that the module could not start. */
	return 0;
}

void cleanup_module(void)
{
	printk(KERN_INFO "Goodbye, world 1.\n");
}

MODULE_LICENSE("GPL");
