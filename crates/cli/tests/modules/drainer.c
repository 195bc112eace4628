/* drainer: registers a device whose read takes a while; its init fails. */
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static int result = -19;
module_param(result, int, 0444);

static ssize_t drainer_read(struct file *file __maybe_unused, char __user *to __maybe_unused,
			    size_t n __maybe_unused, loff_t *pos __maybe_unused)
{
	msleep(1500);
	return 0;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.read = drainer_read,
};

static int __init drainer_init(void)
{
	register_chrdev(78, "drainer", &operations);
	msleep(700);
	if (result)
		return result;
	return 0;
}

static void __exit drainer_exit(void)
{
	unregister_chrdev(78, "drainer");
}

module_init(drainer_init);
module_exit(drainer_exit);
MODULE_LICENSE("Dual MIT/GPL");
