/* Limits, small helpers, and numbers from text. */
#ifndef MODFS_KERNEL_H
#define MODFS_KERNEL_H

#include <modfs/errno.h>
#include <modfs/printk.h>
#include <modfs/types.h>

#ifndef INT_MAX
#define INT_MAX __INT_MAX__
#define INT_MIN (-INT_MAX - 1)
#define UINT_MAX (INT_MAX * 2U + 1U)
#define LONG_MAX __LONG_MAX__
#define LONG_MIN (-LONG_MAX - 1L)
#define ULONG_MAX (LONG_MAX * 2UL + 1UL)
#endif

/* Refuses to compile when the condition, a constant, is true. */
#define BUILD_BUG_ON(condition) ((void)sizeof(char[1 - 2 * !!(condition)]))

/* For arrays only: a pointer does not compile. */
#define ARRAY_SIZE(array)                 \
	(sizeof(array) / sizeof((array)[0]) + \
	 0 * sizeof(char[1 - 2 * __same_type((array), &(array)[0])]))

#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))

#define min_t(type, a, b)                               \
	__extension__({                                 \
		type __min_a = (a);                     \
		type __min_b = (b);                     \
		__min_a < __min_b ? __min_a : __min_b;  \
	})

#define max_t(type, a, b)                               \
	__extension__({                                 \
		type __max_a = (a);                     \
		type __max_b = (b);                     \
		__max_a > __max_b ? __max_a : __max_b;  \
	})

/* In the type that `a + b` has: not for values of different signedness. */
#define min(a, b) min_t(__typeof__((a) + (b)), a, b)
#define max(a, b) max_t(__typeof__((a) + (b)), a, b)
#define clamp(value, low, high) min(max(value, low), high)

#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))

/* The number at the start of `text` (base 0: as its prefix says), as C's strtol. */
extern long simple_strtol(const char *text, char **end, unsigned int base);
extern unsigned long simple_strtoul(const char *text, char **end, unsigned int base);

/*
 * The number that `text` is, one newline at the end allowed. 0, -EINVAL, or -ERANGE; `result`
 * is written only on success.
 */
extern int kstrtoint(const char *text, unsigned int base, int *result);
extern int kstrtouint(const char *text, unsigned int base, unsigned int *result);
extern int kstrtol(const char *text, unsigned int base, long *result);
extern int kstrtoul(const char *text, unsigned int base, unsigned long *result);

#endif
