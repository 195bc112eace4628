#define NODE 6
#define USES 2
#include "stress/node.h"
