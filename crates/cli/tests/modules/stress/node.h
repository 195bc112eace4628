/* One of the eight modules of the stress test: a device and a symbol of its own, and perhaps
 * another's that it uses. */
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>

#define NAME_1(prefix, n) prefix##n
#define NAME(prefix, n) NAME_1(prefix, n)
#define OWN NAME(stress_symbol_, NODE)

int OWN(void);
int OWN(void)
{
	return NODE;
}
EXPORT_SYMBOL(OWN);

#ifdef USES
extern int NAME(stress_symbol_, USES)(void);
#endif

static int major;

static ssize_t node_read(struct file *file __maybe_unused, char __user *to, size_t n, loff_t *pos)
{
	if (*pos || !n)
		return 0;
	*to = '0' + NODE;
	*pos = 1;
	return 1;
}

static const struct file_operations node_fops = {
	.owner = THIS_MODULE,
	.read = node_read,
};

static int __init node_init(void)
{
#ifdef USES
	if (NAME(stress_symbol_, USES)() != USES)
		return -EIO;
#endif
	major = register_chrdev(0, KBUILD_MODNAME, &node_fops);
	return major < 0 ? major : 0;
}

static void __exit node_exit(void)
{
	unregister_chrdev(major, KBUILD_MODNAME);
}

module_init(node_init);
module_exit(node_exit);
MODULE_LICENSE("Dual MIT/GPL");
