/* failing: uses lib, exports a symbol, and its init returns what the parameter says. */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

extern int lib_add(int a, int b);

static int result;
module_param(result, int, 0644);

int failing_symbol(void);
int failing_symbol(void)
{
	return lib_add(1, 2);
}
EXPORT_SYMBOL(failing_symbol);

static int __init failing_init(void)
{
	return lib_add(result, 0);
}

static void __exit failing_exit(void)
{
}

module_init(failing_init);
module_exit(failing_exit);
MODULE_LICENSE("Dual MIT/GPL");
