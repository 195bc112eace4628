#define NODE 1
#include "stress/node.h"
