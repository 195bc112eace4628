#include <modfs/kmod.h>
