/* Memory. What a module does not give back is lost until the host ends. */
#ifndef MODFS_SLAB_H
#define MODFS_SLAB_H

#include <modfs/types.h>

/* In a program no allocation needs to be told from another; only __GFP_ZERO has an effect. */
#define GFP_KERNEL 0x0u
#define GFP_ATOMIC 0x1u
#define GFP_NOWAIT 0x2u
#define GFP_USER GFP_KERNEL
#define __GFP_ZERO 0x100u

/* All return NULL when there is no memory; aligned for any type. kfree(NULL) does nothing. */
extern void *kmalloc(size_t size, gfp_t flags);
extern void *kzalloc(size_t size, gfp_t flags);
/* Zeroed; NULL also when n * size overflows. */
extern void *kcalloc(size_t n, size_t size, gfp_t flags);
/* On NULL the old block is still there. */
extern void *krealloc(const void *old, size_t size, gfp_t flags);
extern void kfree(const void *ptr);
extern char *kstrdup(const char *s, gfp_t flags);

extern void *vmalloc(unsigned long size);
extern void vfree(const void *ptr);

#endif
