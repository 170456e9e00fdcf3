#define POCKETREC_LANES 16
#define POCKETREC_LOOPS interact_avx512
#include "interact_kernels.hpp"
