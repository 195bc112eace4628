/* A parameter of every type. */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static unsigned char a_byte;
static short a_short;
static unsigned int a_uint;
static long a_long;
static unsigned long a_ulong;
static unsigned int a_hexint;
static bool a_bool;
static bool an_invbool;
static char *a_charp = "text";
static char a_string[16] = "buffer";
static int numbers[4];
static int given;
static int old[4];
static char names[2][8];

module_param_named(byte, a_byte, byte, 0644);
module_param_named(short, a_short, short, 0644);
module_param_named(uint, a_uint, uint, 0644);
module_param_named(long, a_long, long, 0644);
module_param_named(ulong, a_ulong, ulong, 0);
module_param_named(hexint, a_hexint, hexint, 0444);
module_param_named(bool, a_bool, bool, 0644);
module_param_named(invbool, an_invbool, invbool, 0644);
module_param_named(charp, a_charp, charp, 0644);
module_param_string(string, a_string, sizeof(a_string), 0644);
module_param_array(numbers, int, &given, 0644);
MODULE_PARM(old, "1-4i");
MODULE_PARM(names, "2c8");

static int __init parameters_init(void)
{
	return a_byte + a_short + (int)a_uint + (int)a_long + (int)a_ulong + (int)a_hexint +
	       a_bool + an_invbool + a_charp[0] + a_string[0] + numbers[0] + given + old[0] +
	       names[0][0];
}

module_init(parameters_init);
MODULE_LICENSE("Dual MIT/GPL");
