#include <modfs/chrdev.h>
