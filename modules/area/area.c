/* area: a function that takes a structure. */
#include "area.h"
#include <linux/init.h>
#include <linux/module.h>

int wall_area(const struct wall *wall)
{
	return wall->width * wall->height;
}
EXPORT_SYMBOL(wall_area);

MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("How large walls are");
