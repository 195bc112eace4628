/* What depmod and modinfo read of a module, small, for any machine (seeds.sh). */
#if __SIZEOF_POINTER__ == 4
#define WORD ".long"
#else
#define WORD ".quad"
#endif
#define INFO(name, text) \
	static const char name[] __attribute__((section(".modinfo"), used)) = text

void fa(void)
{
}
__asm__(".section __ksymtab,\"a\"\n"
	"__ksymtab_fa: " WORD " fa\n"
	".section __ksymtab_strings,\"a\"\n"
	".asciz \"fa\"\n"
	".previous");

extern void printk(void);
extern void may_be_missing(void) __attribute__((weak));
void *uses[] = { (void *)printk, (void *)may_be_missing };

INFO(license, "license=GPL");
INFO(alias, "alias=pci:v00008086d*");
INFO(parm, "parm=x:a number");
INFO(parmtype, "parmtype=x:int");
INFO(softdep, "softdep=pre: a post: b");

struct version {
	unsigned long crc;
	char name[64 - sizeof(long)];
};
static const struct version versions[] __attribute__((section("__versions"), used)) = {
	{ 0x12345678, "printk" },
	{ 1, "module_layout" },
};
