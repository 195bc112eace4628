#include <modfs/export.h>
