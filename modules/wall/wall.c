/* wall: is built against area, and so only goes with an area whose structure is the same. */
#include "../area/area.h"
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>

static int __init wall_init(void)
{
	struct wall wall = { .width = 6, .height = 7 };

	printk(KERN_INFO "wall: of %d\n", wall_area(&wall));
	return 0;
}

static void __exit wall_exit(void)
{
}

module_init(wall_init);
module_exit(wall_exit);

MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("Asks how large a wall is");
