/* All that the program has besides Rust's core and alloc: a start, an end, and the functions
 * that compilers call on their own. */

typedef unsigned long size_t;

extern int modfs_nostd_main(const unsigned char *object, size_t len);
extern const unsigned char object_start[], object_end[];

/* The object that is linked. */
__asm__(".section .rodata\n"
	".balign 16\n"
	"object_start:\n"
	".incbin \"" OBJECT "\"\n"
	"object_end:\n"
	".previous\n");

_Noreturn void modfs_nostd_exit(int code)
{
	for (;;)
		__asm__ volatile("syscall"
				 :
				 : "a"(231L /* exit_group */), "D"((long)code)
				 : "rcx", "r11", "memory");
}

__attribute__((used)) static _Noreturn void begin(void)
{
	modfs_nostd_exit(modfs_nostd_main(object_start, (size_t)(object_end - object_start)));
}

/* The kernel leaves the stack aligned to 16 bytes; a call makes it what functions expect. */
__asm__(".globl _start\n"
	"_start:\n"
	"	xorl %ebp, %ebp\n"
	"	call begin\n"
	"	ud2\n");

/* core and alloc come built for unwinding; nothing here unwinds. */
void rust_eh_personality(void)
{
}

_Noreturn void _Unwind_Resume(void *exception)
{
	(void)exception;
	modfs_nostd_exit(102);
}

void *memcpy(void *to, const void *from, size_t n)
{
	unsigned char *t = to;
	const unsigned char *f = from;

	while (n--)
		*t++ = *f++;
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	unsigned char *t = to;
	const unsigned char *f = from;

	if (t <= f)
		return memcpy(to, from, n);
	while (n--)
		t[n] = f[n];
	return to;
}

void *memset(void *to, int byte, size_t n)
{
	unsigned char *t = to;

	while (n--)
		*t++ = (unsigned char)byte;
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *x = a, *y = b;

	for (; n--; x++, y++)
		if (*x != *y)
			return *x < *y ? -1 : 1;
	return 0;
}

int bcmp(const void *a, const void *b, size_t n)
{
	return memcmp(a, b, n);
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}
