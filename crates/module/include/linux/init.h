#include <modfs/init.h>
