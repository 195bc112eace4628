#include <modfs/errno.h>
