/* A module for embed.rs, the program beside it, which exports total_add(). */
#include <modfs/module.h>

long total_add(long n);

static int plugin_init(void)
{
	pr_info("the total is now %ld\n", total_add(42));
	return 0;
}

static void plugin_exit(void)
{
	total_add(-2);
}

module_init(plugin_init);
module_exit(plugin_exit);
MODULE_LICENSE("Dual MIT/GPL");
