/* user: adds its parameters with a function of the module lib. modprobe user a=40 b=2 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

extern int lib_add(int a, int b);

static int a = 1;
module_param(a, int, 0644);
MODULE_PARM_DESC(a, "First summand");

static int b = 1;
module_param(b, int, 0644);
MODULE_PARM_DESC(b, "Second summand");

static int __init user_init(void)
{
	printk(KERN_INFO "user: %d + %d = %d\n", a, b, lib_add(a, b));
	return 0;
}

/* The parameters may have been written to in the meantime. */
static void __exit user_exit(void)
{
	printk(KERN_INFO "user: %d + %d = %d, goodbye\n", a, b, lib_add(a, b));
}

module_init(user_init);
module_exit(user_exit);

MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("Uses the module lib");
