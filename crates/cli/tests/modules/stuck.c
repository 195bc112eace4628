/* stuck: its init or its cleanup takes its time, or does not return at all. */
#include <linux/delay.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/string.h>

static char *in = "init";
module_param(in, charp, 0444);
MODULE_PARM_DESC(in, "What does not return: init or exit");

static char *how = "sleep";
module_param(how, charp, 0444);
MODULE_PARM_DESC(how, "sleep or spin");

static int ms;
module_param(ms, int, 0644);
MODULE_PARM_DESC(ms, "Return after that many milliseconds; 0, never");

static volatile int forever = 1;

static void stick(void)
{
	if (ms) {
		msleep(ms);
		return;
	}
	while (forever)
		if (strcmp(how, "spin"))
			msleep(50);
}

static int __init stuck_init(void)
{
	if (!strcmp(in, "init"))
		stick();
	return 0;
}

static void __exit stuck_exit(void)
{
	if (!strcmp(in, "exit"))
		stick();
}

module_init(stuck_init);
module_exit(stuck_exit);
MODULE_LICENSE("Dual MIT/GPL");
