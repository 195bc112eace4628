/* What the compiler can be told. gcc 4.9 and later, clang 6 and later. */
#ifndef MODFS_COMPILER_H
#define MODFS_COMPILER_H

#ifdef __has_attribute
#define __modfs_has_attribute(x) __has_attribute(x)
#else
#define __modfs_has_attribute(x) 0
#endif

#define __used __attribute__((__used__))
#define __maybe_unused __attribute__((__unused__))
#define __always_unused __attribute__((__unused__))
#define __must_check __attribute__((__warn_unused_result__))
#define __packed __attribute__((__packed__))
#define __aligned(x) __attribute__((__aligned__(x)))
#define __section(name) __attribute__((__section__(name)))
#define __printf(fmt, first) __attribute__((__format__(__printf__, fmt, first)))
#define __cold __attribute__((__cold__))
#define __weak __attribute__((__weak__))
#define __always_inline inline __attribute__((__always_inline__))

#ifndef noinline
#define noinline __attribute__((__noinline__))
#endif

/* The attributes of a function for its alias: without them gcc warns that they differ. */
#if __modfs_has_attribute(__copy__)
#define __copy(symbol) __attribute__((__copy__(symbol)))
#else
#define __copy(symbol)
#endif

/* Marks for checkers of other worlds; they say something to the reader only. */
#define __user
#define __kernel
#define __iomem
#define __force

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define barrier() __asm__ __volatile__("" : : : "memory")

#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, value) ((void)(*(volatile __typeof__(x) *)&(x) = (value)))

#define __stringify_1(...) #__VA_ARGS__
#define __stringify(...) __stringify_1(__VA_ARGS__)
#define __modfs_concat_1(a, b) a##b
#define __modfs_concat(a, b) __modfs_concat_1(a, b)

#define __same_type(a, b) \
	__builtin_types_compatible_p(__typeof__(a), __typeof__(b))

#endif
