/* rd: RAM disks, block devices whose content is memory. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blkdev.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#define RD_MAJOR 1
#define DISKS 4

static unsigned int kib = 4096;
module_param(kib, uint, 0444);
MODULE_PARM_DESC(kib, "KiB of each disk, 4096 by default");

static unsigned int disks = 1;
module_param(disks, uint, 0444);
MODULE_PARM_DESC(disks, "How many there are: minors 0 and on, at most 4");

static char *memory[DISKS];

/* No lock: as on a real disk, who writes the same sectors at once gets what comes. */
static int rd_read(struct block_device *bdev, void *to, sector_t first, u64 count)
{
	memcpy(to, memory[MINOR(bdev->bd_dev)] + (first << SECTOR_SHIFT), count << SECTOR_SHIFT);
	return 0;
}

static int rd_write(struct block_device *bdev, const void *from, sector_t first, u64 count)
{
	memcpy(memory[MINOR(bdev->bd_dev)] + (first << SECTOR_SHIFT), from, count << SECTOR_SHIFT);
	return 0;
}

static const struct block_device_operations rd_ops = {
	.owner = THIS_MODULE,
	.read = rd_read,
	.write = rd_write,
};

static void rd_free(void)
{
	unsigned int i;

	for (i = 0; i < DISKS; i++) {
		vfree(memory[i]);
		memory[i] = NULL;
	}
}

static int __init rd_init(void)
{
	unsigned int i;
	int err;

	if (kib == 0 || disks == 0 || disks > DISKS)
		return -EINVAL;
	for (i = 0; i < disks; i++) {
		memory[i] = vmalloc((size_t)kib << 10);
		if (!memory[i]) {
			rd_free();
			return -ENOMEM;
		}
		memset(memory[i], 0, (size_t)kib << 10);
	}
	err = register_blkdev(RD_MAJOR, "rd", &rd_ops);
	if (err) {
		rd_free();
		return err;
	}
	for (i = 0; !err && i < disks; i++)
		err = modfs_set_capacity(RD_MAJOR, i, (sector_t)kib << (10 - SECTOR_SHIFT));
	if (err) {
		unregister_blkdev(RD_MAJOR, "rd");
		rd_free();
		return err;
	}
	pr_info("%u of %u KiB\n", disks, kib);
	return 0;
}

static void __exit rd_exit(void)
{
	unregister_blkdev(RD_MAJOR, "rd");
	rd_free();
}

module_init(rd_init);
module_exit(rd_exit);

MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("RAM disks");
MODULE_ALIAS_BLOCKDEV_MAJOR(1);
