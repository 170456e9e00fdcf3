// pr_update's loops with AVX2, FMA and F16C.
#include "update_kernels.hpp"

void pocketrec::update_avx2(const UpdateCall& call, int64_t begin, int64_t end, float* scratch) {
    run_pairs(call, begin, end, scratch);
}
