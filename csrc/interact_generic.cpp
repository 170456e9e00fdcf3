#define POCKETREC_LANES 4
#define POCKETREC_LOOPS interact_generic
#include "interact_kernels.hpp"
