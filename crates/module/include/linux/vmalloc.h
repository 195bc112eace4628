#include <modfs/slab.h>
