#include <modfs/stat.h>
