#include <modfs/param.h>
