/* Symbols for other modules. All others stay private to the module. */
#ifndef MODFS_EXPORT_H
#define MODFS_EXPORT_H

#include <modfs/compiler.h>

/*
 * The loader goes by the name, `__ksymtab_SYMBOL`, and the section; the pointer is there so that
 * the symbol is kept.
 */
#define __modfs_export(symbol, section)                                     \
	extern __typeof__(symbol) symbol;                                   \
	extern const void *const __ksymtab_##symbol;                        \
	const void *const __ksymtab_##symbol __used __section(section) =    \
		(const void *)&symbol

#define EXPORT_SYMBOL(symbol) __modfs_export(symbol, "__ksymtab")
/* Only for modules whose licence is compatible with the GPL. */
#define EXPORT_SYMBOL_GPL(symbol) __modfs_export(symbol, "__ksymtab_gpl")
/* 2.4: nothing is exported. Here that is so anyway. */
#define EXPORT_NO_SYMBOLS extern int __modfs_export_no_symbols

#endif
