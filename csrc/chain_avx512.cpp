// chain.hpp for level avx512.
#define POCKETREC_LOOPS pocketrec::chain_avx512
#include "chain_kernels.hpp"
