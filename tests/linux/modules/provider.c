/* Exports two symbols, one of them to modules of a free licence only. */
#include <linux/init.h>
#include <linux/module.h>

#include "provider.h"

static int base = 40;
module_param(base, int, 0644);
MODULE_PARM_DESC(base, "what provider_answer adds to");

answer_t provider_answer(answer_t more)
{
	return base + more;
}
EXPORT_SYMBOL(provider_answer);

int provider_free(void)
{
	return 1;
}
EXPORT_SYMBOL_GPL(provider_free);

static int __init provider_init(void)
{
	pr_info("provider: base is %d\n", base);
	return base < 0 ? -ERANGE : 0;
}

static void __exit provider_exit(void)
{
	pr_info("provider: gone\n");
}

module_init(provider_init);
module_exit(provider_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Exports symbols to consumer");
