// The interaction of a DLRM, between the C function (interact.cpp) and the loops, which are compiled once per level.
#pragma once

#include <cstdint>

#include "pocketrec.h"

namespace pocketrec {

struct InteractLoops {
    // Both work on the rows first to last - 1 of a batch; `scratch` has room for interact_scratch() numbers, all 0 at
    // the first call.
    void (*forward)(const pr_interact& shape, int64_t first, int64_t last, const void* low, const void* vectors,
                    void* out, float* scratch);
    void (*backward)(const pr_interact& shape, int64_t first, int64_t last, const void* grad, const void* low,
                     const void* vectors, void* grad_low, void* grad_vectors, float* scratch);
};

extern const InteractLoops interact_generic;
#if defined(__x86_64__)
extern const InteractLoops interact_avx2;
extern const InteractLoops interact_avx512;
#endif

}  // namespace pocketrec
