/*
 * Block devices. The host reads and makes these structures: each field stands at the offset
 * said (where pointers have 8 bytes), and the order is part of the ABI.
 */
#ifndef MODFS_BLKDEV_H
#define MODFS_BLKDEV_H

#include <modfs/chrdev.h>

/* Bytes of a sector, and the bits of an offset in one. */
#define SECTOR_SHIFT 9
#define SECTOR_SIZE (1U << SECTOR_SHIFT)

typedef u64 sector_t;

struct block_device_operations;

/* A block device that somebody has open; 24 bytes. */
struct block_device {
	/* 0 */
	dev_t bd_dev;
	/* 4. FMODE_* */
	unsigned int bd_mode;
	/* 8. The module's own; NULL at first. */
	void *bd_private;
	/* 16. What it was registered with. */
	const struct block_device_operations *bd_ops;
};

/*
 * What a block device can do; 40 bytes. `read` and `write` move whole sectors, all of them within
 * the capacity, and return 0 or a negative error number; several calls come at once. A function
 * left NULL: open and release succeed, read is -EINVAL, write -EROFS.
 */
struct block_device_operations {
	/* 0. THIS_MODULE: it is in use while the device is open. */
	struct module *owner;
	/* 8. 0, or a negative error number: then there is no release. */
	int (*open)(struct block_device *bdev);
	/* 16. When the last descriptor of this open is closed. */
	void (*release)(struct block_device *bdev);
	/* 24 */
	int (*read)(struct block_device *bdev, void *to, sector_t first, u64 count);
	/* 32 */
	int (*write)(struct block_device *bdev, const void *from, sector_t first, u64 count);
};

/*
 * Makes the minors of a major number reach `ops`, which must stay until unregister_blkdev().
 * Returns 0, or for major 0 the number that was chosen, or a negative error number: -EBUSY when
 * the number or the name is taken. There are no minors yet.
 */
extern int register_blkdev(unsigned int major, const char *name,
			   const struct block_device_operations *ops);
extern void unregister_blkdev(unsigned int major, const char *name);

/*
 * Says how many sectors a minor has. Who has it open sees that too, and when this returns nobody is
 * in `read` or `write` for sectors beyond them; so it must not be called from these. 0: there is no
 * such minor. Returns 0 or a negative error number: -ENODEV when the major is not this module's.
 */
extern int modfs_set_capacity(unsigned int major, unsigned int minor, sector_t sectors);

/* The name that opening an unknown device asks for. */
#define MODULE_ALIAS_BLOCKDEV_MAJOR(major) \
	MODULE_ALIAS("block-major-" __stringify(major))

#endif
