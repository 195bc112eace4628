#include <modfs/string.h>
