/* badfs: a file system and a block device that do what they must not. */
#include <linux/blkdev.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/string.h>
#include <modfs/filesystem.h>

/* The compiler is not to see what it is. */
static volatile unsigned long nowhere = 8;

static int rootless;

static int badfs_mount(struct super_block *sb)
{
	if (strcmp(sb->s_name, "refused") == 0)
		return -ENOSPC;
	if (strcmp(sb->s_name, "odd") == 0)
		return -100000;
	rootless = strcmp(sb->s_name, "rootless") == 0;
	return 0;
}

static int badfs_lookup(struct super_block *sb, u64 dir, const char *name,
			struct modfs_attr *found)
{
	if (strcmp(name, "crash") == 0)
		*(volatile int *)nowhere = 1;
	*found = (struct modfs_attr){ .ino = name[0], .mode = 0644 };
	return 0;
}

static int badfs_getattr(struct super_block *sb, u64 ino, struct modfs_attr *attr)
{
	memset(attr, 0, sizeof(*attr));
	attr->mode = ino == MODFS_ROOT_INO && !rootless ? S_IFDIR | 0755 : S_IFREG | 0644;
	attr->size = ino == 'h' ? ~0ULL : 0;
	return 0;
}

static int badfs_readdir(struct super_block *sb, u64 dir, struct dir_context *to)
{
	modfs_dir_emit(to, "..", S_IFDIR);
	modfs_dir_emit(to, "a/b", S_IFREG);
	modfs_dir_emit(to, "", S_IFREG);
	modfs_dir_emit(to, NULL, S_IFREG);
	modfs_dir_emit(to, "\xff\xfe", S_IFREG);
	modfs_dir_emit(to, "good", 0);
	return 0;
}

static ssize_t badfs_read(struct super_block *sb, u64 ino, void *to, size_t n, loff_t at)
{
	return ino == 'l' ? (ssize_t)n + 1 : -123456;
}

static const struct file_system_type badfs_type = {
	.owner = THIS_MODULE,
	.name = "badfs",
	.mount = badfs_mount,
	.lookup = badfs_lookup,
	.getattr = badfs_getattr,
	.readdir = badfs_readdir,
	.read = badfs_read,
};

static int bad_read(struct block_device *bdev, void *to, sector_t first, u64 count)
{
	if (first == 1)
		*(volatile int *)nowhere = 1;
	return first == 2 ? -EIO : first == 3 ? 7 : 0;
}

static const struct block_device_operations bad_ops = {
	.owner = THIS_MODULE,
	.read = bad_read,
};

static int __init badfs_init(void)
{
	int err = register_filesystem(&badfs_type);

	if (err || register_filesystem(&badfs_type) != -EBUSY)
		return err ? err : -EINVAL;
	if (register_blkdev(99, "bad", &bad_ops) || register_blkdev(99, "other", &bad_ops) != -EBUSY)
		return -EINVAL;
	if (modfs_set_capacity(99, 0, 4) || modfs_set_capacity(98, 0, 4) != -ENODEV ||
	    modfs_set_capacity(99, 1U << 20, 4) != -EINVAL || modfs_set_capacity(99, 1, ~0ULL) != -EINVAL)
		return -EINVAL;
	if (register_filesystem(NULL) != -EINVAL || unregister_filesystem(NULL) != -EINVAL)
		return -EINVAL;
	return 0;
}

/* Takes nothing back. */
static void __exit badfs_exit(void)
{
}

module_init(badfs_init);
module_exit(badfs_exit);
MODULE_LICENSE("Dual MIT/GPL");
