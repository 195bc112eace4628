#include <modfs/err.h>
