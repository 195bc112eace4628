#include <modfs/delay.h>
