/*
 * File systems. The host reads and makes these structures: each field stands at the offset said
 * (where pointers have 8 bytes), and the order is part of the ABI.
 */
#ifndef MODFS_FILESYSTEM_H
#define MODFS_FILESYSTEM_H

#include <modfs/errno.h>
#include <modfs/modinfo.h>
#include <modfs/stat.h>
#include <modfs/types.h>

#define S_IFMT 0170000
#define S_IFDIR 0040000
#define S_IFREG 0100000
#define S_ISDIR(mode) (((mode) & S_IFMT) == S_IFDIR)
#define S_ISREG(mode) (((mode) & S_IFMT) == S_IFREG)

/* The number of the root directory. */
#define MODFS_ROOT_INO 1

/* One that is mounted; 16 bytes. */
struct super_block {
	/* 0. What it is mounted as. */
	const char *s_name;
	/* 8. The module's own; NULL at first. */
	void *s_private;
};

/* A file or directory; 32 bytes. */
struct modfs_attr {
	/* 0. The number it is known by; the root's is MODFS_ROOT_INO. */
	u64 ino;
	/* 8. Bytes. */
	u64 size;
	/* 16. S_IFDIR or S_IFREG, and permission bits. */
	u32 mode;
	/* 20 */
	u32 uid;
	/* 24 */
	u32 gid;
	/* 28 */
	u32 reserved;
};

/* What setattr is to change. */
#define MODFS_ATTR_MODE 1
#define MODFS_ATTR_UID 2
#define MODFS_ATTR_GID 4
#define MODFS_ATTR_SIZE 8

struct module;
struct dir_context;

/*
 * A type of file system; 96 bytes. Calls come from several threads at once. Functions return 0, or
 * a length, or a negative error number; one left NULL is -EPERM, but for `umount`. What is asked
 * of the host's permission bits has been asked already. Nothing is ever renamed, and a file that is
 * removed is gone for those too who have it open.
 */
struct file_system_type {
	/* 0. THIS_MODULE: it is in use while one is mounted. */
	struct module *owner;
	/* 8. What `mkdir fs/NAME/...` calls it, and asks for when it is unknown. */
	const char *name;
	/* 16 */
	int (*mount)(struct super_block *sb);
	/* 24. Nobody is in another function then, or will be. */
	void (*umount)(struct super_block *sb);
	/* 32 */
	int (*lookup)(struct super_block *sb, u64 dir, const char *name,
		      struct modfs_attr *found);
	/* 40 */
	int (*getattr)(struct super_block *sb, u64 ino, struct modfs_attr *attr);
	/* 48. Calls modfs_dir_emit() for each entry but `.` and `..`. */
	int (*readdir)(struct super_block *sb, u64 dir, struct dir_context *to);
	/* 56. A file or a directory, as the mode says. */
	int (*create)(struct super_block *sb, u64 dir, const char *name,
		      const struct modfs_attr *want, struct modfs_attr *made);
	/* 64. -ENOTDIR, -EISDIR: it is not what is to be removed. -ENOTEMPTY. */
	int (*remove)(struct super_block *sb, u64 dir, const char *name,
		      int directory);
	/* 72 */
	ssize_t (*read)(struct super_block *sb, u64 ino, void *to, size_t n,
			loff_t at);
	/* 80 */
	ssize_t (*write)(struct super_block *sb, u64 ino, const void *from,
			 size_t n, loff_t at);
	/* 88. `which` is of MODFS_ATTR_*. */
	int (*setattr)(struct super_block *sb, u64 ino,
		       const struct modfs_attr *want, unsigned int which);
};

/*
 * Makes a type known; it must stay until unregister_filesystem(). 0 or a negative error number:
 * -EBUSY when the name is taken. What is mounted when it is taken back stays so.
 */
extern int register_filesystem(const struct file_system_type *fs);
extern int unregister_filesystem(const struct file_system_type *fs);

/* Adds an entry; false when it can be none. */
extern bool modfs_dir_emit(struct dir_context *to, const char *name,
			   unsigned int mode);

/* The name that mounting an unknown type asks for. */
#define MODULE_ALIAS_FILESYSTEM(name) MODULE_ALIAS(name)

#endif
