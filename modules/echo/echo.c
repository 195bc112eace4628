/* echo: a character device that keeps what is written, up to 4 KiB, and gives it back. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#define ROOM 4096

static int major;
module_param(major, int, 0444);
MODULE_PARM_DESC(major, "Major number; 0, the default, takes a free one");

static char text[ROOM];
static size_t length;
/* Functions of a device may run at once in several threads. */
static char lock;
static int opens, releases;

static void take(void)
{
	while (__atomic_test_and_set(&lock, __ATOMIC_ACQUIRE))
		;
}

static void give(void)
{
	__atomic_clear(&lock, __ATOMIC_RELEASE);
}

static int echo_open(struct inode *inode, struct file *file)
{
	int n = __atomic_add_fetch(&opens, 1, __ATOMIC_RELAXED);

	pr_debug("minor %u, open number %d, flags %o\n", iminor(inode), n, file->f_flags);
	return 0;
}

static int echo_release(struct inode *inode, struct file *file)
{
	int n = __atomic_add_fetch(&releases, 1, __ATOMIC_RELAXED);

	pr_debug("minor %u, release number %d, flags %o\n", iminor(inode), n, file->f_flags);
	return 0;
}

static ssize_t echo_read(struct file *file __maybe_unused, char __user *to, size_t n, loff_t *pos)
{
	ssize_t done = 0;

	take();
	if (*pos >= 0 && *pos < (loff_t)length) {
		n = min(n, length - (size_t)*pos);
		if (copy_to_user(to, text + *pos, n)) {
			done = -EFAULT;
		} else {
			*pos += n;
			done = n;
		}
	}
	give();
	return done;
}

/* The first byte written by an open replaces what was there. */
static ssize_t echo_write(struct file *file __maybe_unused, const char __user *from, size_t n,
			  loff_t *pos)
{
	ssize_t done = -ENOSPC;

	if (n == 0)
		return 0;
	take();
	if (*pos >= 0 && *pos < ROOM) {
		n = min(n, (size_t)(ROOM - *pos));
		if (copy_from_user(text + *pos, from, n)) {
			done = -EFAULT;
		} else {
			*pos += n;
			length = *pos;
			done = n;
		}
	}
	give();
	return done;
}

static const struct file_operations echo_fops = {
	.owner = THIS_MODULE,
	.read = echo_read,
	.write = echo_write,
	.open = echo_open,
	.release = echo_release,
};

static int __init echo_init(void)
{
	int got = register_chrdev(major, "echo", &echo_fops);

	if (got < 0)
		return got;
	if (major == 0)
		major = got;
	pr_info("major number %d\n", major);
	return 0;
}

static void __exit echo_exit(void)
{
	unregister_chrdev(major, "echo");
	pr_info("%d opens, %d releases\n", opens, releases);
}

module_init(echo_init);
module_exit(echo_exit);

MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("A character device that gives back what was written to it");
