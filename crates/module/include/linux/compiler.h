#include <modfs/compiler.h>
