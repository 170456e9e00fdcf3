// pr_update's loops with AVX-512 F, BW, VL and DQ.
#include "update_kernels.hpp"

void pocketrec::update_avx512(const UpdateCall& call, int64_t begin, int64_t end, float* scratch) {
    run_pairs(call, begin, end, scratch);
}
