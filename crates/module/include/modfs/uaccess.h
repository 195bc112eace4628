/*
 * The caller's memory. The host hands a device's functions buffers of its own, so nothing can
 * fail here; code that checks for failure is right all the same.
 */
#ifndef MODFS_UACCESS_H
#define MODFS_UACCESS_H

#include <modfs/string.h>
#include <modfs/types.h>

/* Both return how many bytes were not copied. */
static inline unsigned long copy_to_user(void __user *to, const void *from, unsigned long n)
{
	memcpy(to, from, n);
	return 0;
}

static inline unsigned long copy_from_user(void *to, const void __user *from, unsigned long n)
{
	memcpy(to, from, n);
	return 0;
}

static inline unsigned long clear_user(void __user *to, unsigned long n)
{
	memset(to, 0, n);
	return 0;
}

/* A function and not a constant: the result may be left unused without a warning. */
static inline int __modfs_user_ok(void)
{
	return 0;
}

/* One value of the pointer's type; 0, or -EFAULT. */
#define put_user(value, ptr)                    \
	__extension__({                         \
		*(ptr) = (value);               \
		__modfs_user_ok();              \
	})

#define get_user(variable, ptr)                 \
	__extension__({                         \
		(variable) = *(ptr);            \
		__modfs_user_ok();              \
	})

#endif
