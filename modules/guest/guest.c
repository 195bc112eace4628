/* guest: uses a function of the Rust module tally. modprobe guest n=3 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

extern int tally_add(int n);

static int n = 1;
module_param(n, int, 0444);
MODULE_PARM_DESC(n, "What to add");

static int __init guest_init(void)
{
	printk(KERN_INFO "guest: the count is %d\n", tally_add(n));
	return 0;
}

static void __exit guest_exit(void)
{
}

module_init(guest_init);
module_exit(guest_exit);

MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("Uses a function of a Rust module");
