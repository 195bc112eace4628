/* dirty: refuses to start unless its memory is as the file says, and makes it dirty. */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/string.h>

static unsigned char clear[64 * 1024];
static unsigned char set[1024] = { 1, 2, 3 };

static int __init dirty_init(void)
{
	size_t i;

	for (i = 0; i < sizeof(clear); i++)
		if (clear[i])
			return -EIO;
	if (set[0] != 1 || set[2] != 3 || set[3])
		return -EIO;
	memset(clear, 0xff, sizeof(clear));
	memset(set, 0xff, sizeof(set));
	return 0;
}

static void __exit dirty_exit(void)
{
}

module_init(dirty_init);
module_exit(dirty_exit);
MODULE_LICENSE("Dual MIT/GPL");
