/* What a module says of itself: `modinfo` shows it. */
#ifndef MODFS_MODINFO_H
#define MODFS_MODINFO_H

#include <modfs/compiler.h>

/* "tag=value" and a NUL, without padding, one after the other in the section `.modinfo`. */
#define __MODULE_INFO(text)                                             \
	static const char __modfs_concat(__modfs_info_, __COUNTER__)[]  \
		__used __section(".modinfo") __aligned(1) = text

#define MODULE_INFO(tag, text) __MODULE_INFO(#tag "=" text)

/*
 * "GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL" and
 * "Dual MPL/GPL" give access to symbols exported with EXPORT_SYMBOL_GPL.
 */
#define MODULE_LICENSE(text) __MODULE_INFO("license=" text)
#define MODULE_AUTHOR(text) __MODULE_INFO("author=" text)
#define MODULE_DESCRIPTION(text) __MODULE_INFO("description=" text)
#define MODULE_VERSION(text) __MODULE_INFO("version=" text)
/* A further name the module can be asked for by; may hold wildcards. */
#define MODULE_ALIAS(text) __MODULE_INFO("alias=" text)
/* Modules to load before or after: "pre: a b post: c". */
#define MODULE_SOFTDEP(text) __MODULE_INFO("softdep=" text)
/* 2.4: a device the module drives; for the reader only. */
#define MODULE_SUPPORTED_DEVICE(text) __MODULE_INFO("device=" text)

/* The table is kept under a name of its own; nothing reads it yet. */
#define MODULE_DEVICE_TABLE(type, name)                                   \
	extern __typeof__(name) __mod_##type##__##name##_device_table     \
		__attribute__((__unused__, __alias__(#name)))

#endif
