/* Uses every header; the layouts that the host relies on. */
#include <asm/uaccess.h>
#include <linux/compiler.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/kmod.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/stat.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
/* Only now: they must agree with what is there already. */
#include <stdbool.h>
#include <stddef.h>

#define AT(type, member, offset)                                    \
	__extension__ _Static_assert(offsetof(struct type, member) == (offset), \
				     #type "." #member)
#define SIZE(type, size) __extension__ _Static_assert(sizeof(type) == (size), #type)

SIZE(struct module, 64);
AT(module, id, 0);
AT(module, name, 8);

SIZE(struct modfs_param, 48);
AT(modfs_param, name, 0);
AT(modfs_param, type, 8);
AT(modfs_param, value, 16);
AT(modfs_param, count, 24);
AT(modfs_param, max, 32);
AT(modfs_param, perm, 36);
AT(modfs_param, flags, 38);
AT(modfs_param, reserved, 40);

SIZE(struct inode, 16);
AT(inode, i_rdev, 0);
AT(inode, i_private, 8);

SIZE(struct file, 40);
AT(file, private_data, 0);
AT(file, f_flags, 8);
AT(file, f_mode, 12);
AT(file, f_pos, 16);
AT(file, f_op, 24);
AT(file, f_inode, 32);

SIZE(struct file_operations, 48);
AT(file_operations, owner, 0);
AT(file_operations, llseek, 8);
AT(file_operations, read, 16);
AT(file_operations, write, 24);
AT(file_operations, open, 32);
AT(file_operations, release, 40);

SIZE(struct seq_file, 32);
AT(seq_file, buf, 0);
AT(seq_file, size, 8);
AT(seq_file, count, 16);
AT(seq_file, private, 24);

SIZE(umode_t, 2);
SIZE(dev_t, 4);
SIZE(gfp_t, 4);
SIZE(loff_t, 8);
SIZE(ssize_t, sizeof(size_t));
SIZE(u8, 1);
SIZE(u16, 2);
SIZE(u32, 4);
SIZE(u64, 8);

struct pair {
	int first;
	int second;
};

static int show(struct seq_file *seq, void *data)
{
	seq_printf(seq, "%p", data);
	seq_puts(seq, "text");
	seq_putc(seq, '\n');
	return seq_write(seq, "x", 1);
}

static ssize_t get(struct file *file, char __user *to, size_t n, loff_t *pos)
{
	const char *text = file->private_data;
	char c;

	if (unlikely(*pos < 0) || n < 2)
		return -EINVAL;
	put_user(*text++, to++);
	if (get_user(c, to) || copy_to_user(to, text, 1))
		return -EFAULT;
	return c;
}

static const struct file_operations fops = {
	.owner = THIS_MODULE,
	.llseek = no_llseek,
	.read = get,
};

static int __init start(void)
{
	struct pair pair = { 1, 2 };
	struct pair *of = container_of(&pair.second, struct pair, second);
	struct proc_dir_entry *entry;
	char buffer[32];
	char *text = kmalloc(8, GFP_KERNEL);
	long number = 0;
	int major;

	BUILD_BUG_ON(sizeof(buffer) < 8);
	if (!text)
		return -ENOMEM;
	strscpy(text, "12", 8);
	if (kstrtol(text, 10, &number))
		pr_warn("no number\n");
	snprintf(buffer, sizeof(buffer), "%lu", simple_strtoul(text, NULL, 0));
	kfree(text);
	text = vmalloc(1);
	vfree(text);
	pr_info("%s %d %d %ld %zu %llu %pS\n", buffer, min(of->first, 3), max_t(int, 1, 2),
		number, strlen(buffer), (u64)1, (void *)start);
	request_module("char-major-%d", 1);
	if (IS_ERR(ERR_PTR(-EIO)))
		msleep(1);
	if (!try_module_get(THIS_MODULE))
		return -ENODEV;
	module_put(THIS_MODULE);
	entry = proc_create_single("everything", 0444, NULL, show);
	remove_proc_entry("everything", NULL);
	proc_remove(entry);
	major = register_chrdev(0, "everything", &fops);
	if (major < 0)
		return major;
	unregister_chrdev(MAJOR(MKDEV(major, 0)), "everything");
	return 0;
}

module_init(start);

MODULE_ALIAS_CHARDEV(240, 1);
MODULE_ALIAS_CHARDEV_MAJOR(240);
MODULE_LICENSE("GPL");
