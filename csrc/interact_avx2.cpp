#define POCKETREC_LANES 8
#define POCKETREC_LOOPS interact_avx2
#include "interact_kernels.hpp"
