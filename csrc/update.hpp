// One optimizer step on a range of pairs: what is compiled once per SIMD level (update_kernels.hpp) and chosen at run
// time. Plain data only: an inline function here could be linked as the copy of a level that this machine lacks.
#pragma once

#include <cstdint>

#include "pocketrec.h"

namespace pocketrec {

// Rates are rounded to float once, as torch rounds a Python number that meets a float32 tensor.
struct Rates {
    float lr, eps, l2;
    float first, second;  // adam: 1 - beta1, 1 - beta2
    float adam;           // lr with adam's bias corrections
};

struct UpdateRegion {
    float* data;
    float* first;   // state: rowwise_adagrad's sums, one per unit; adagrad's sums or adam's first moments, per weight
    float* second;  // adam's second moments
};

struct UpdateCall {
    const UpdateRegion* regions;
    const int64_t* ends;  // of each region, as addresses
    int64_t region_count;
    int64_t unit;
    const int64_t* addresses;  // all within the regions
    const float* grads;
    int64_t algorithm;
    Rates rates;
};

// Applies the pairs begin..end-1. All levels give the same bits.
void update_generic(const UpdateCall& call, int64_t begin, int64_t end);
void update_avx2(const UpdateCall& call, int64_t begin, int64_t end);
void update_avx512(const UpdateCall& call, int64_t begin, int64_t end);

}  // namespace pocketrec
