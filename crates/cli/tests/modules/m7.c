#define NODE 7
#define USES 3
#include "stress/node.h"
