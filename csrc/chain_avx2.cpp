// chain.hpp for level avx2.
#define POCKETREC_LOOPS pocketrec::chain_avx2
#include "chain_kernels.hpp"
