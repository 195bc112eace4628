/* How a module begins and ends. */
#ifndef MODFS_INIT_H
#define MODFS_INIT_H

#include <modfs/types.h>

/*
 * Code and data for init only: their memory is given back when it has returned.
 * Nothing outside may point there afterwards.
 */
#define __init __section(".init.text") __cold
#define __initdata __section(".init.data")
#define __initconst __section(".init.rodata")
/* Code and data for cleanup only. */
#define __exit __section(".exit.text") __cold
#define __exitdata __section(".exit.data")

typedef int (*initcall_t)(void);
typedef void (*exitcall_t)(void);

/*
 * The two functions the kernel looks for. A module defines them itself, or names its own with
 * module_init() and module_exit(). init returns 0 or a negative error number; cleanup may be
 * missing.
 */
extern int init_module(void);
extern void cleanup_module(void);

#define module_init(fn)                                                 \
	static inline __maybe_unused initcall_t __modfs_init_check(void) \
	{                                                               \
		return fn;                                              \
	}                                                               \
	int init_module(void) __copy(fn) __attribute__((__alias__(#fn)))

#define module_exit(fn)                                                 \
	static inline __maybe_unused exitcall_t __modfs_exit_check(void) \
	{                                                               \
		return fn;                                              \
	}                                                               \
	void cleanup_module(void) __copy(fn) __attribute__((__alias__(#fn)))

#endif
