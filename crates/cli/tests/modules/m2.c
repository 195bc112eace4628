#define NODE 2
#include "stress/node.h"
