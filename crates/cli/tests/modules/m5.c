#define NODE 5
#define USES 1
#include "stress/node.h"
