/* hello: says hello, and goodbye. modprobe hello whom=moon times=2 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static char *whom = "world";
module_param(whom, charp, 0444);
MODULE_PARM_DESC(whom, "Whom to greet");

static int times = 1;
module_param(times, int, 0644);
MODULE_PARM_DESC(times, "How often");

static int __init hello_init(void)
{
	int i;

	if (times < 0)
		return -EINVAL;
	for (i = 0; i < times; i++)
		printk(KERN_INFO "Hello, %s!\n", whom);
	return 0;
}

static void __exit hello_exit(void)
{
	printk(KERN_INFO "Goodbye, %s!\n", whom);
}

module_init(hello_init);
module_exit(hello_exit);

MODULE_LICENSE("Dual MIT/GPL");
MODULE_AUTHOR("The modfs project");
MODULE_DESCRIPTION("Says hello");
