/* Virtual files. */
#ifndef MODFS_PROC_H
#define MODFS_PROC_H

#include <modfs/errno.h>
#include <modfs/stat.h>
#include <modfs/types.h>

/* The text that a file is to have; 32 bytes, offsets 0, 8, 16, 24 where pointers have 8. */
struct seq_file {
	char *buf;
	/* Bytes that `buf` has room for, and bytes that are in it. */
	size_t size;
	size_t count;
	/* The `data` that the file was made with. */
	void *private;
};

/* They add to the text. One that does not fit is called for again with a larger buffer. */
extern void seq_printf(struct seq_file *seq, const char *fmt, ...) __printf(2, 3);
extern void seq_puts(struct seq_file *seq, const char *text);
extern void seq_putc(struct seq_file *seq, char c);
/* 0, or negative when it did not fit. */
extern int seq_write(struct seq_file *seq, const void *data, size_t len);

struct proc_dir_entry;

/*
 * Makes a virtual file. `show` gives its text; it runs once per open, and may run again when the
 * text was too long for the buffer. `store`, which may be NULL, takes what is written
 * (not ended by a NUL) and returns how much it took or a negative error number. Mode 0: 0444, with
 * `store` 0644. NULL when the name is taken.
 */
extern struct proc_dir_entry *modfs_proc_create(
	const char *name, umode_t mode, int (*show)(struct seq_file *, void *),
	ssize_t (*store)(void *data, const char *text, size_t len), void *data);

/*
 * Both return when nobody else is in `show` or `store` any more; the functions may remove their own
 * file. `parent` must be NULL.
 */
extern void remove_proc_entry(const char *name, struct proc_dir_entry *parent);
extern void proc_remove(struct proc_dir_entry *entry);

/* Linux's own way to make one; there are no directories here, so `parent` must be NULL. */
static inline struct proc_dir_entry *proc_create_single_data(
	const char *name, umode_t mode, struct proc_dir_entry *parent,
	int (*show)(struct seq_file *, void *), void *data)
{
	if (parent)
		return NULL;
	return modfs_proc_create(name, mode, show, NULL, data);
}

#define proc_create_single(name, mode, parent, show) \
	proc_create_single_data(name, mode, parent, show, NULL)

#endif
