/* slowfs: a file system whose functions take their time. */
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <modfs/filesystem.h>

static unsigned int wait_ms = 1500;
module_param(wait_ms, uint, 0644);

static int slowfs_mount(struct super_block *sb)
{
	msleep(wait_ms);
	return 0;
}

static int slowfs_getattr(struct super_block *sb, u64 ino, struct modfs_attr *attr)
{
	*attr = (struct modfs_attr){ .ino = ino, .mode = S_IFDIR | 0755 };
	return 0;
}

static int slowfs_lookup(struct super_block *sb, u64 dir, const char *name,
			 struct modfs_attr *found)
{
	msleep(wait_ms);
	return -ENOENT;
}

static const struct file_system_type slowfs_type = {
	.owner = THIS_MODULE,
	.name = "slowfs",
	.mount = slowfs_mount,
	.getattr = slowfs_getattr,
	.lookup = slowfs_lookup,
};

static int __init slowfs_init(void)
{
	return register_filesystem(&slowfs_type);
}

static void __exit slowfs_exit(void)
{
	unregister_filesystem(&slowfs_type);
}

module_init(slowfs_init);
module_exit(slowfs_exit);
MODULE_LICENSE("Dual MIT/GPL");
