#include <modfs/types.h>
