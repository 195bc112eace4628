/* Values from whoever loads the module: one of every type. */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/stat.h>

static unsigned char a_byte = 1;
static short int a_short = 1;
static unsigned short a_ushort = 1;
static int an_int = 420;
static unsigned int a_uint = 1;
static long int a_long = 9999;
static unsigned long a_ulong = 1;
static unsigned long long a_ullong = 1;
static char *a_string = "blah";
static bool a_bool, not_a_bool = true;
static unsigned int a_hexint = 0xff;
static int inner;
static int numbers[2] = { 420, 420 };
static int given = 0;
static short shorts[4];
static char *words[3];
static unsigned int given_words;
static char buffer[16] = "text";

module_param(a_byte, byte, 0444);
module_param(a_short, short, S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP);
MODULE_PARM_DESC(a_short, "A short integer");
module_param(a_ushort, ushort, 0);
module_param(an_int, int, S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH);
MODULE_PARM_DESC(an_int, "An integer");
module_param(a_uint, uint, 0);
module_param(a_long, long, S_IRUSR);
module_param(a_ulong, ulong, 0);
module_param(a_ullong, ullong, 0);
module_param(a_string, charp, 0000);
MODULE_PARM_DESC(a_string, "A character string");
module_param(a_bool, bool, 0644);
module_param(not_a_bool, invbool, 0644);
module_param(a_hexint, hexint, 0644);
module_param_named(outer, inner, int, 0);
module_param_array(numbers, int, &given, 0000);
MODULE_PARM_DESC(numbers, "An array of integers");
module_param_array(shorts, short, NULL, 0);
module_param_array_named(names, words, charp, &given_words, 0);
module_param_string(buffer, buffer, sizeof(buffer), 0644);

static int __init start(void)
{
	size_t i;

	pr_info("a_byte %u a_short %hd a_ushort %hu an_int %d a_uint %u\n", a_byte, a_short,
		a_ushort, an_int, a_uint);
	pr_info("a_long %ld a_ulong %lu a_ullong %llu a_string %s\n", a_long, a_ulong, a_ullong,
		a_string);
	pr_info("a_bool %d not_a_bool %d a_hexint %#x inner %d buffer %s\n", a_bool, not_a_bool,
		a_hexint, inner, buffer);
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		pr_info("numbers[%zu] = %d\n", i, numbers[i]);
	for (i = 0; i < ARRAY_SIZE(shorts); i++)
		pr_info("shorts[%zu] = %hd\n", i, shorts[i]);
	for (i = 0; i < given_words; i++)
		pr_info("words[%zu] = %s\n", i, words[i]);
	pr_info("got %d values for numbers\n", given);
	return 0;
}

static void __exit stop(void)
{
	pr_info("Goodbye, world 5\n");
}

module_init(start);
module_exit(stop);

MODULE_LICENSE("GPL");
