/* huge: more than there is room for. */
#include <linux/init.h>
#include <linux/module.h>

static volatile char room[768UL << 20];

static int __init huge_init(void)
{
	room[sizeof(room) - 1] = 1;
	return 0;
}

module_init(huge_init);
MODULE_LICENSE("Dual MIT/GPL");
