#define NODE 0
#include "stress/node.h"
