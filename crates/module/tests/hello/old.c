/* The way of 2.4. */
#include <linux/kernel.h>
#include <linux/module.h>

static int irq = 7;
static char *ports[4];
static char tag[8];

MODULE_PARM(irq, "i");
MODULE_PARM_DESC(irq, "IRQ number");
MODULE_PARM(ports, "1-4s");
MODULE_PARM(tag, "c8");

EXPORT_NO_SYMBOLS;

int init_module(void)
{
	MOD_INC_USE_COUNT;
	printk("<6>irq %d port %s tag %s\n", irq, ports[0] ? ports[0] : "none", tag);
	MOD_DEC_USE_COUNT;
	if (MOD_IN_USE)
		return -EBUSY;
	return 0;
}

void cleanup_module(void)
{
	printk("<6>bye\n");
}
