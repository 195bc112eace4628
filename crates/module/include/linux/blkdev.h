#include <modfs/blkdev.h>
