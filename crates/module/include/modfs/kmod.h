/* Asking for other modules. */
#ifndef MODFS_KMOD_H
#define MODFS_KMOD_H

#include <modfs/compiler.h>

/*
 * Has a module loaded, by its name or an alias, and returns when that is done: 0, or a negative
 * error number. 0 does not promise that what was wanted is there now: look again.
 */
extern int request_module(const char *fmt, ...) __printf(1, 2);

#endif
