#include <modfs/printk.h>
