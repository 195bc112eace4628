/*
 * Character devices. The host reads and makes these structures: each field stands at the offset
 * said (where pointers have 8 bytes), and the order is part of the ABI.
 */
#ifndef MODFS_CHRDEV_H
#define MODFS_CHRDEV_H

#include <modfs/errno.h>
#include <modfs/modinfo.h>
#include <modfs/stat.h>
#include <modfs/types.h>

struct module;
struct file;

#define MINORBITS 20
#define MINORMASK ((1U << MINORBITS) - 1)
#define MAJOR(dev) ((unsigned int)((dev) >> MINORBITS))
#define MINOR(dev) ((unsigned int)((dev) & MINORMASK))
#define MKDEV(major, minor) (((dev_t)(major) << MINORBITS) | (minor))

/* A device's node, one for all who have it open; 16 bytes. */
struct inode {
	/* 0 */
	dev_t i_rdev;
	/* 8. The module's own; NULL at first. */
	void *i_private;
};

/* A device that somebody has open; 40 bytes. */
struct file {
	/* 0. The module's own; NULL at first. */
	void *private_data;
	/* 8. O_* as given to open. */
	unsigned int f_flags;
	/* 12. FMODE_* */
	unsigned int f_mode;
	/* 16. The position; read and write get a pointer to a copy, or to it. */
	loff_t f_pos;
	/* 24 */
	const struct file_operations *f_op;
	/* 32 */
	struct inode *f_inode;
};

/*
 * What a device can do; 48 bytes. A function left NULL: open and release succeed, read and write
 * are -EINVAL, llseek moves the position. `read` and `write` return how many bytes they took
 * or gave, 0 for the end, or a negative error number.
 */
struct file_operations {
	/* 0. THIS_MODULE: it is in use while the device is open. */
	struct module *owner;
	/* 8 */
	loff_t (*llseek)(struct file *file, loff_t offset, int whence);
	/* 16 */
	ssize_t (*read)(struct file *file, char __user *to, size_t n, loff_t *pos);
	/* 24 */
	ssize_t (*write)(struct file *file, const char __user *from, size_t n, loff_t *pos);
	/* 32. 0, or a negative error number: then there is no release. */
	int (*open)(struct inode *inode, struct file *file);
	/* 40. When the last descriptor of this open is closed. */
	int (*release)(struct inode *inode, struct file *file);
};

#define FMODE_READ 0x1u
#define FMODE_WRITE 0x2u

#ifndef O_RDONLY
#define O_ACCMODE 00000003
#define O_RDONLY 00000000
#define O_WRONLY 00000001
#define O_RDWR 00000002
#define O_CREAT 00000100
#define O_EXCL 00000200
#define O_TRUNC 00001000
#define O_APPEND 00002000
#define O_NONBLOCK 00004000
#endif

#ifndef SEEK_SET
#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2
#endif

/*
 * Makes the minors of a major number reach `fops`, which must stay until unregister_chrdev().
 * Returns 0, or for major 0 the number that was chosen, or a negative error number:
 * -EBUSY when the number is taken.
 */
extern int register_chrdev(unsigned int major, const char *name,
			   const struct file_operations *fops);
extern void unregister_chrdev(unsigned int major, const char *name);

static inline unsigned int imajor(const struct inode *inode)
{
	return MAJOR(inode->i_rdev);
}

static inline unsigned int iminor(const struct inode *inode)
{
	return MINOR(inode->i_rdev);
}

static inline struct inode *file_inode(const struct file *file)
{
	return file->f_inode;
}

/* For a device without a position: `.llseek = no_llseek`. */
static inline loff_t no_llseek(struct file *file __maybe_unused,
			       loff_t offset __maybe_unused,
			       int whence __maybe_unused)
{
	return -ESPIPE;
}

/* The name that opening an unknown device asks for. */
#define MODULE_ALIAS_CHARDEV(major, minor) \
	MODULE_ALIAS("char-major-" __stringify(major) "-" __stringify(minor))
#define MODULE_ALIAS_CHARDEV_MAJOR(major) \
	MODULE_ALIAS("char-major-" __stringify(major) "-*")

#endif
