/* Everything a module needs to be one. */
#ifndef MODFS_MODULE_H
#define MODFS_MODULE_H

#include <modfs/errno.h>
#include <modfs/export.h>
#include <modfs/init.h>
#include <modfs/kernel.h>
#include <modfs/kmod.h>
#include <modfs/modinfo.h>
#include <modfs/param.h>
#include <modfs/printk.h>
#include <modfs/stat.h>
#include <modfs/types.h>

/* The host makes one for each module; 64 bytes where long has 8. */
struct module {
	/* Offset 0. The host's own number for the module. */
	unsigned long id;
	/* Offset 8. */
	char name[56];
};

extern struct module __this_module;
#define THIS_MODULE (&__this_module)

/*
 * Takes a use of a module, which then stays until module_put(). Returns 0 when the module is
 * going away: it must not be entered. NULL stands for the kernel, which never goes away.
 */
extern int try_module_get(struct module *module) __must_check;
extern void module_put(struct module *module);
/* How many uses there are. */
extern int module_refcount(struct module *module);

/* For a caller that is a use itself, so that the module cannot be going away. */
static inline void __module_get(struct module *module)
{
	if (!try_module_get(module))
		return;
}

/* 2.4: a module that counts its uses itself. */
#define MOD_INC_USE_COUNT __module_get(THIS_MODULE)
#define MOD_DEC_USE_COUNT module_put(THIS_MODULE)
#define MOD_IN_USE (module_refcount(THIS_MODULE) != 0)
#define SET_MODULE_OWNER(object) ((void)((object)->owner = THIS_MODULE))

#endif
