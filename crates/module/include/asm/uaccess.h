#include <modfs/uaccess.h>
