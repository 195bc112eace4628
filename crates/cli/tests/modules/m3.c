#define NODE 3
#include "stress/node.h"
