/* leaver: forgets to take back what it registered; its exit takes a while. */
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

static int ms;
module_param(ms, int, 0644);
MODULE_PARM_DESC(ms, "How long exit takes");

static int fail;
module_param(fail, int, 0644);
MODULE_PARM_DESC(fail, "What init returns");

static int leaver_show(struct seq_file *seq, void *data __maybe_unused)
{
	seq_puts(seq, "still here\n");
	return 0;
}

static ssize_t leaver_read(struct file *file __maybe_unused, char __user *to __maybe_unused,
			   size_t n __maybe_unused, loff_t *pos __maybe_unused)
{
	return 0;
}

static const struct file_operations leaver_fops = {
	.owner = THIS_MODULE,
	.read = leaver_read,
};

static int __init leaver_init(void)
{
	int major = register_chrdev(77, "leaver", &leaver_fops);

	if (major < 0)
		return major;
	if (!modfs_proc_create("leaver", 0, leaver_show, NULL, NULL))
		return -EEXIST;
	return fail;
}

static void __exit leaver_exit(void)
{
	msleep(ms);
}

module_init(leaver_init);
module_exit(leaver_exit);
MODULE_LICENSE("Dual MIT/GPL");
