#include <modfs/module.h>
