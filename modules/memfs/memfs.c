/* memfs: a file system whose files are memory. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <modfs/filesystem.h>

#define NAME_LEN 255
/* No file is larger. */
#define FILE_MAX (64UL << 20)

/* A file or a directory. What is in a directory is found by its number, so one list holds all. */
struct node {
	struct node *next;
	struct modfs_attr attr;
	u64 parent;
	char *data;
	size_t room;
	char name[NAME_LEN + 1];
};

struct memfs {
	struct node *nodes;
	u64 last;
	/* Functions may run at once in several threads. */
	char lock;
};

static struct memfs *take(struct super_block *sb)
{
	struct memfs *fs = sb->s_private;

	while (__atomic_test_and_set(&fs->lock, __ATOMIC_ACQUIRE))
		msleep(1);
	return fs;
}

static void give(struct memfs *fs)
{
	__atomic_clear(&fs->lock, __ATOMIC_RELEASE);
}

static struct node *by_number(struct memfs *fs, u64 ino)
{
	struct node *node;

	for (node = fs->nodes; node; node = node->next)
		if (node->attr.ino == ino)
			return node;
	return NULL;
}

static struct node *by_name(struct memfs *fs, u64 dir, const char *name)
{
	struct node *node;

	for (node = fs->nodes; node; node = node->next)
		if (node->parent == dir && strcmp(node->name, name) == 0)
			return node;
	return NULL;
}

static struct node *add(struct memfs *fs, u64 dir, const char *name,
			const struct modfs_attr *want)
{
	struct node *node = kzalloc(sizeof(*node), GFP_KERNEL);

	if (!node)
		return NULL;
	node->attr = *want;
	node->attr.ino = ++fs->last;
	node->attr.size = 0;
	node->parent = dir;
	strscpy(node->name, name, sizeof(node->name));
	node->next = fs->nodes;
	fs->nodes = node;
	return node;
}

static void drop(struct node *node)
{
	kfree(node->data);
	kfree(node);
}

static int memfs_mount(struct super_block *sb)
{
	const struct modfs_attr root = { .mode = S_IFDIR | 0755 };
	struct memfs *fs = kzalloc(sizeof(*fs), GFP_KERNEL);

	if (!fs)
		return -ENOMEM;
	/* The first number is MODFS_ROOT_INO. */
	if (!add(fs, 0, "", &root)) {
		kfree(fs);
		return -ENOMEM;
	}
	sb->s_private = fs;
	pr_info("%s is mounted\n", sb->s_name);
	return 0;
}

static void memfs_umount(struct super_block *sb)
{
	struct memfs *fs = sb->s_private;

	while (fs->nodes) {
		struct node *node = fs->nodes;

		fs->nodes = node->next;
		drop(node);
	}
	kfree(fs);
	pr_info("%s is unmounted\n", sb->s_name);
}

static int memfs_lookup(struct super_block *sb, u64 dir, const char *name,
			struct modfs_attr *found)
{
	struct memfs *fs = take(sb);
	struct node *node = by_name(fs, dir, name);

	if (node)
		*found = node->attr;
	give(fs);
	return node ? 0 : -ENOENT;
}

static int memfs_getattr(struct super_block *sb, u64 ino, struct modfs_attr *attr)
{
	struct memfs *fs = take(sb);
	struct node *node = by_number(fs, ino);

	if (node)
		*attr = node->attr;
	give(fs);
	return node ? 0 : -ENOENT;
}

static int memfs_readdir(struct super_block *sb, u64 dir, struct dir_context *to)
{
	struct memfs *fs = take(sb);
	struct node *node;

	for (node = fs->nodes; node; node = node->next)
		if (node->parent == dir)
			modfs_dir_emit(to, node->name, node->attr.mode);
	give(fs);
	return 0;
}

static int memfs_create(struct super_block *sb, u64 dir, const char *name,
			const struct modfs_attr *want, struct modfs_attr *made)
{
	struct memfs *fs = take(sb);
	struct node *node = NULL;
	int err = 0;

	if (!by_number(fs, dir)) {
		err = -ENOENT;
	} else if (by_name(fs, dir, name)) {
		err = -EEXIST;
	} else {
		node = add(fs, dir, name, want);
		err = node ? 0 : -ENOMEM;
	}
	if (node)
		*made = node->attr;
	give(fs);
	return err;
}

static bool is_empty(struct memfs *fs, u64 dir)
{
	struct node *node;

	for (node = fs->nodes; node; node = node->next)
		if (node->parent == dir)
			return false;
	return true;
}

static int memfs_remove(struct super_block *sb, u64 dir, const char *name, int directory)
{
	struct memfs *fs = take(sb);
	struct node *node = by_name(fs, dir, name);
	struct node **at;
	int err = 0;

	if (!node)
		err = -ENOENT;
	else if (directory && !S_ISDIR(node->attr.mode))
		err = -ENOTDIR;
	else if (!directory && S_ISDIR(node->attr.mode))
		err = -EISDIR;
	else if (directory && !is_empty(fs, node->attr.ino))
		err = -ENOTEMPTY;
	if (!err) {
		for (at = &fs->nodes; *at != node; at = &(*at)->next)
			;
		*at = node->next;
		drop(node);
	}
	give(fs);
	return err;
}

/* Makes room for `size` bytes; what is new is zero. */
static int grow(struct node *node, size_t size)
{
	size_t room = max(size, min(2 * node->room, FILE_MAX));
	char *data;

	if (size > FILE_MAX)
		return -EFBIG;
	if (size <= node->room)
		return 0;
	data = krealloc(node->data, room, GFP_KERNEL);
	if (!data)
		return -ENOSPC;
	memset(data + node->room, 0, room - node->room);
	node->data = data;
	node->room = room;
	return 0;
}

static ssize_t memfs_read(struct super_block *sb, u64 ino, void *to, size_t n, loff_t at)
{
	struct memfs *fs = take(sb);
	struct node *node = by_number(fs, ino);
	ssize_t done = -ENOENT;

	if (node) {
		size_t size = node->attr.size;

		done = at < 0 || (size_t)at >= size ? 0 : (ssize_t)min(n, size - (size_t)at);
		memcpy(to, node->data + (done ? at : 0), done);
	}
	give(fs);
	return done;
}

static ssize_t memfs_write(struct super_block *sb, u64 ino, const void *from, size_t n, loff_t at)
{
	struct memfs *fs = take(sb);
	struct node *node = by_number(fs, ino);
	ssize_t done = -ENOENT;

	if (node && at >= 0 && (size_t)at <= FILE_MAX && n <= FILE_MAX) {
		done = grow(node, at + n);
		if (done == 0) {
			memcpy(node->data + at, from, n);
			node->attr.size = max(node->attr.size, (u64)at + n);
			done = n;
		}
	} else if (node) {
		done = -EFBIG;
	}
	give(fs);
	return done;
}

static int memfs_setattr(struct super_block *sb, u64 ino, const struct modfs_attr *want,
			 unsigned int which)
{
	struct memfs *fs = take(sb);
	struct node *node = by_number(fs, ino);
	int err = node ? 0 : -ENOENT;

	if (node && which & MODFS_ATTR_SIZE) {
		err = grow(node, want->size);
		if (!err) {
			/* What is cut off must not come back. */
			if (want->size < node->attr.size)
				memset(node->data + want->size, 0, node->attr.size - want->size);
			node->attr.size = want->size;
		}
	}
	if (!err && which & MODFS_ATTR_MODE)
		node->attr.mode = (node->attr.mode & S_IFMT) | (want->mode & 07777);
	if (!err && which & MODFS_ATTR_UID)
		node->attr.uid = want->uid;
	if (!err && which & MODFS_ATTR_GID)
		node->attr.gid = want->gid;
	give(fs);
	return err;
}

static const struct file_system_type memfs_type = {
	.owner = THIS_MODULE,
	.name = "memfs",
	.mount = memfs_mount,
	.umount = memfs_umount,
	.lookup = memfs_lookup,
	.getattr = memfs_getattr,
	.readdir = memfs_readdir,
	.create = memfs_create,
	.remove = memfs_remove,
	.read = memfs_read,
	.write = memfs_write,
	.setattr = memfs_setattr,
};

static int __init memfs_init(void)
{
	return register_filesystem(&memfs_type);
}

static void __exit memfs_exit(void)
{
	unregister_filesystem(&memfs_type);
}

module_init(memfs_init);
module_exit(memfs_exit);

MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("A file system in memory");
