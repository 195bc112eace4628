/* Parameters: variables that are set when the module is started, `modprobe NAME variable=value`. */
#ifndef MODFS_PARAM_H
#define MODFS_PARAM_H

#include <modfs/kernel.h>
#include <modfs/modinfo.h>
#include <modfs/stat.h>
#include <modfs/types.h>

/*
 * What the loader reads: the section `__param` is an array of these. 48 bytes where pointers
 * have 8; offsets 0, 8, 16, 24, 32, 36, 38, 40.
 */
struct modfs_param {
	const char *name;
	/* "int", "charp", "string", ...; with MODFS_PARAM_TAG a type tag of 2.4, "1-4i". */
	const char *type;
	void *value;
	/* Where the number of elements given is to be stored; may be NULL. */
	uint32_t *count;
	/* Elements; 1 for a scalar. Bytes for "string" and with MODFS_PARAM_TAG. */
	uint32_t max;
	/* Permission bits of the parameter's file; 0: it has none. */
	uint16_t perm;
	uint16_t flags;
	uint64_t reserved;
};

#define MODFS_PARAM_ARRAY 1
#define MODFS_PARAM_TAG 2

/* The C type of each parameter type; `byte` and `hexint` are unsigned. */
typedef unsigned char __modfs_type_byte;
typedef short __modfs_type_short;
typedef unsigned short __modfs_type_ushort;
typedef int __modfs_type_int;
typedef unsigned int __modfs_type_uint;
typedef long __modfs_type_long;
typedef unsigned long __modfs_type_ulong;
typedef unsigned long long __modfs_type_ullong;
typedef unsigned int __modfs_type_hexint;
typedef char *__modfs_type_charp;
typedef _Bool __modfs_type_bool;
typedef _Bool __modfs_type_invbool;

#define __modfs_param(name, type, value, count, max, perm, flags)              \
	static const struct modfs_param __modfs_param_##name __used           \
		__section("__param") __aligned(8) = { #name, type, (value),   \
						      (count), (max), (perm), \
						      (flags), 0 }

#define __modfs_param_assert(condition, text) \
	__extension__ _Static_assert(condition, text)

/*
 * `type` is pasted or made a string in each public macro itself, never handed on: `bool` may be
 * a macro.
 */
#define module_param_named(name, variable, type, perm)                        \
	__modfs_param_assert(__same_type(variable, __modfs_type_##type),      \
			     "parameter " #name ": the variable is not of type " #type); \
	__MODULE_INFO("parmtype=" #name ":" #type);                           \
	__modfs_param(name, #type, &(variable), NULL, 1, perm, 0)

#define module_param(name, type, perm)                                        \
	__modfs_param_assert(__same_type(name, __modfs_type_##type),          \
			     "parameter " #name " is not of type " #type);    \
	__MODULE_INFO("parmtype=" #name ":" #type);                           \
	__modfs_param(name, #type, &(name), NULL, 1, perm, 0)

/* `nump`: the address of an int that gets the number of values given, or NULL. */
#define __modfs_param_array(name, array, ctype, type, nump, perm)              \
	__modfs_param_assert(__same_type((array)[0], ctype),                  \
			     "parameter " #name ": the elements are not of type " type); \
	__modfs_param_assert(__same_type(nump, int *) ||                      \
			     __same_type(nump, unsigned int *) ||             \
			     __same_type(nump, void *),                       \
			     "parameter " #name ": the count is not the address of an int"); \
	__MODULE_INFO("parmtype=" #name ":array of " type);                   \
	__modfs_param(name, type, (array), (uint32_t *)(nump),                \
		      ARRAY_SIZE(array), perm, MODFS_PARAM_ARRAY)

#define module_param_array_named(name, array, type, nump, perm) \
	__modfs_param_array(name, array, __modfs_type_##type, #type, nump, perm)

#define module_param_array(name, type, nump, perm) \
	__modfs_param_array(name, name, __modfs_type_##type, #type, nump, perm)

/* A buffer of `len` bytes, which gets the text and its NUL. */
#define module_param_string(name, string, len, perm)                          \
	__modfs_param_assert(sizeof(string) >= (len),                         \
			     "parameter " #name ": the buffer is shorter than its length"); \
	__MODULE_INFO("parmtype=" #name ":string");                           \
	__modfs_param(name, "string", (string), NULL, (len), perm, 0)

/*
 * 2.4: the type is a tag "[min[-max]]" and one of b h i l s c<size>: byte, short, int, long,
 * char *, char[size].
 */
#define MODULE_PARM(variable, tag)                                            \
	__MODULE_INFO("parm_" #variable "=" tag);                             \
	__modfs_param(variable, tag, (void *)&(variable), NULL,               \
		      sizeof(variable), 0, MODFS_PARAM_TAG)

#define MODULE_PARM_DESC(name, text) __MODULE_INFO("parm=" #name ":" text)

#endif
