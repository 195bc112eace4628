/* sleeper: its init takes as long as the parameter says. */
#include <linux/delay.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static int ms;
module_param(ms, int, 0444);

static int __init sleeper_init(void)
{
	msleep(ms);
	return 0;
}

static void __exit sleeper_exit(void)
{
}

module_init(sleeper_init);
module_exit(sleeper_exit);
MODULE_LICENSE("Dual MIT/GPL");
