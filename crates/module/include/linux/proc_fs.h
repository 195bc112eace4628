#include <modfs/proc.h>
