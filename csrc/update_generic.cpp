// pr_update's loops for every machine.
#include "update_kernels.hpp"

void pocketrec::update_generic(const UpdateCall& call, int64_t begin, int64_t end, float* scratch) {
    run_pairs(call, begin, end, scratch);
}
