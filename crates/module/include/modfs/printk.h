/* Messages for the kernel's log, and printing into buffers. */
#ifndef MODFS_PRINTK_H
#define MODFS_PRINTK_H

#include <stdarg.h>
#include <modfs/types.h>

/* A message may begin with its level: the byte 1, and a digit or `c`. */
#define KERN_SOH "\001"
#define KERN_EMERG KERN_SOH "0"
#define KERN_ALERT KERN_SOH "1"
#define KERN_CRIT KERN_SOH "2"
#define KERN_ERR KERN_SOH "3"
#define KERN_WARNING KERN_SOH "4"
#define KERN_NOTICE KERN_SOH "5"
#define KERN_INFO KERN_SOH "6"
#define KERN_DEBUG KERN_SOH "7"
#define KERN_DEFAULT ""
/* Goes on with the line of the message before. */
#define KERN_CONT KERN_SOH "c"

extern int printk(const char *fmt, ...) __printf(1, 2);
extern int vprintk(const char *fmt, va_list args) __printf(1, 0);

/* sprintf's family as in C. scnprintf returns how much was written, the NUL not counted. */
extern int sprintf(char *buf, const char *fmt, ...) __printf(2, 3);
extern int snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);
extern int scnprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);
extern int vsnprintf(char *buf, size_t size, const char *fmt, va_list args)
	__printf(3, 0);

/* To be defined before the first #include; usual is KBUILD_MODNAME ": " fmt. */
#ifndef pr_fmt
#define pr_fmt(fmt) fmt
#endif

/* The name of the module that is being built: `modfs build` says it. */
#ifndef KBUILD_MODNAME
#define KBUILD_MODNAME "module"
#endif

/* Prints nothing, but has its arguments checked and used. */
#define no_printk(fmt, ...)                             \
	do {                                            \
		if (0)                                  \
			printk(fmt, ##__VA_ARGS__);     \
	} while (0)

#define pr_emerg(fmt, ...) printk(KERN_EMERG pr_fmt(fmt), ##__VA_ARGS__)
#define pr_alert(fmt, ...) printk(KERN_ALERT pr_fmt(fmt), ##__VA_ARGS__)
#define pr_crit(fmt, ...) printk(KERN_CRIT pr_fmt(fmt), ##__VA_ARGS__)
#define pr_err(fmt, ...) printk(KERN_ERR pr_fmt(fmt), ##__VA_ARGS__)
#define pr_warn(fmt, ...) printk(KERN_WARNING pr_fmt(fmt), ##__VA_ARGS__)
#define pr_warning pr_warn
#define pr_notice(fmt, ...) printk(KERN_NOTICE pr_fmt(fmt), ##__VA_ARGS__)
#define pr_info(fmt, ...) printk(KERN_INFO pr_fmt(fmt), ##__VA_ARGS__)
#define pr_cont(fmt, ...) printk(KERN_CONT fmt, ##__VA_ARGS__)

#ifdef DEBUG
#define pr_debug(fmt, ...) printk(KERN_DEBUG pr_fmt(fmt), ##__VA_ARGS__)
#else
#define pr_debug(fmt, ...) no_printk(KERN_DEBUG pr_fmt(fmt), ##__VA_ARGS__)
#endif

/* Once in the life of the module; two threads at once may both print. */
#define printk_once(fmt, ...)                           \
	do {                                            \
		static bool __printed;                  \
		if (!__printed) {                       \
			__printed = true;               \
			printk(fmt, ##__VA_ARGS__);     \
		}                                       \
	} while (0)

#define pr_err_once(fmt, ...) printk_once(KERN_ERR pr_fmt(fmt), ##__VA_ARGS__)
#define pr_warn_once(fmt, ...) printk_once(KERN_WARNING pr_fmt(fmt), ##__VA_ARGS__)
#define pr_notice_once(fmt, ...) printk_once(KERN_NOTICE pr_fmt(fmt), ##__VA_ARGS__)
#define pr_info_once(fmt, ...) printk_once(KERN_INFO pr_fmt(fmt), ##__VA_ARGS__)

#endif
