#define NODE 4
#define USES 0
#include "stress/node.h"
