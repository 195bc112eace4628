/* visits: a virtual file that says how often it was read; writing a number sets the count. */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/string.h>

static unsigned int reads;
static struct proc_dir_entry *entry;

static int visits_show(struct seq_file *seq, void *data __maybe_unused)
{
	unsigned int *count = seq->private;

	seq_printf(seq, "reads: %u\n", __atomic_add_fetch(count, 1, __ATOMIC_RELAXED));
	return 0;
}

/* `text` has no NUL at its end. */
static ssize_t visits_store(void *data, const char *text, size_t len)
{
	unsigned int *count = data;
	unsigned int value;
	char number[16];
	int error;

	if (len >= sizeof(number))
		return -EINVAL;
	memcpy(number, text, len);
	number[len] = '\0';
	error = kstrtouint(number, 0, &value);
	if (error)
		return error;
	__atomic_store_n(count, value, __ATOMIC_RELAXED);
	return len;
}

static int __init visits_init(void)
{
	entry = modfs_proc_create("visits", 0644, visits_show, visits_store, &reads);
	return entry ? 0 : -EEXIST;
}

static void __exit visits_exit(void)
{
	proc_remove(entry);
}

module_init(visits_init);
module_exit(visits_exit);

MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("A virtual file that counts its reads");
