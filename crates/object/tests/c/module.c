/* What an ordinary module has in it. */

extern int host_add(int a, int b);
extern int host_counter;
extern int host_extra(void) __attribute__((weak));

#define INFO(name, text) \
	static const char name[] __attribute__((section(".modinfo"), used)) = text

INFO(info_license, "license=GPL");
INFO(info_author, "author=Somebody");
INFO(info_alias_a, "alias=char-major-10-*");
INFO(info_alias_b, "alias=b=c");

int number = 7;
int zeros[100];
const char text[] = "constant";

static int twice(int x)
{
	return host_add(x, x);
}

int (*pointer)(int) = twice;

int entry(int x)
{
	if (host_extra)
		x = host_extra();
	return twice(x) + host_counter + number + zeros[x & 63];
}
