#include <modfs/kernel.h>
