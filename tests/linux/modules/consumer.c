/* Uses what provider exports. */
#include <linux/init.h>
#include <linux/module.h>

#include "provider.h"

static int __init consumer_init(void)
{
	pr_info("consumer: the answer is %ld\n", (long)provider_answer(1 + provider_free()));
	return 0;
}

static void __exit consumer_exit(void)
{
}

module_init(consumer_init);
module_exit(consumer_exit);
MODULE_ALIAS("consumer-of-answers");
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Uses symbols of provider");
