/* Memory and strings, as in C. */
#ifndef MODFS_STRING_H
#define MODFS_STRING_H

#include <modfs/types.h>

extern void *memcpy(void *to, const void *from, size_t n);
extern void *memmove(void *to, const void *from, size_t n);
extern void *memset(void *to, int byte, size_t n);
extern int memcmp(const void *a, const void *b, size_t n);
extern void *memchr(const void *where, int byte, size_t n);

extern size_t strlen(const char *s);
extern size_t strnlen(const char *s, size_t max);
extern int strcmp(const char *a, const char *b);
extern int strncmp(const char *a, const char *b, size_t n);
extern char *strcpy(char *to, const char *from);
extern char *strncpy(char *to, const char *from, size_t n);
extern char *strcat(char *to, const char *from);
extern char *strchr(const char *s, int c);
extern char *strrchr(const char *s, int c);
extern char *strstr(const char *s, const char *wanted);

/* Copies what fits, always with a NUL when `size` is not 0; returns strlen(from). */
extern size_t strlcpy(char *to, const char *from, size_t size);
/* The same, but returns the length copied, or -E2BIG when it did not fit. */
extern ssize_t strscpy(char *to, const char *from, size_t size);

#endif
