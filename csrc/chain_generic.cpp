// chain.hpp for level generic.
#define POCKETREC_LOOPS pocketrec::chain_generic
#include "chain_kernels.hpp"
