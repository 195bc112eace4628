/*
 * crash: a module with a bug, to see what becomes of the host. Reading its device faults in the
 * way that the parameter `how` says; with how=4 init itself does.
 */
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static int how = 1;
module_param(how, int, 0644);
MODULE_PARM_DESC(how, "1 NULL, 2 division by zero, 3 jump to a wild address, 4 NULL in init");

static int major;
/* Volatile: the compiler must not see what is wrong. */
static char *volatile nowhere;
static volatile int zero;

static noinline ssize_t crash(int way)
{
	void (*wild)(void);

	switch (way) {
	case 1:
	case 4:
		return *nowhere;
	case 2:
		return way / zero;
	case 3:
		wild = (void (*)(void))(uintptr_t)0xdead0000;
		wild();
		break;
	}
	return 0;
}

static ssize_t crash_read(struct file *file __maybe_unused, char __user *to __maybe_unused,
			  size_t n __maybe_unused, loff_t *pos __maybe_unused)
{
	return crash(how);
}

static const struct file_operations crash_fops = {
	.owner = THIS_MODULE,
	.read = crash_read,
};

static int __init crash_init(void)
{
	if (how == 4)
		crash(how);
	major = register_chrdev(0, "crash", &crash_fops);
	return major < 0 ? major : 0;
}

static void __exit crash_exit(void)
{
	unregister_chrdev(major, "crash");
}

module_init(crash_init);
module_exit(crash_exit);

MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("Faults on purpose");
