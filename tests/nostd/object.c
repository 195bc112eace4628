/* The object that the program links. */

extern int imported(int);

static const char license[]
	__attribute__((section(".modinfo"), used)) = "license=Dual MIT/GPL";

static int calls;

const void *pointers[] = { (const void *)imported, "no libc" };

int entry(int x)
{
	calls++;
	return imported(x) + calls;
}
