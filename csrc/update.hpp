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
    // Of scales that learn: lr, the same with adam's bias corrections, and what their gradient is multiplied by.
    float scale_lr, scale_adam, scale_gradient;
};

struct UpdateRegion {
    uint8_t* data;
    float* first;   // state: rowwise_adagrad's sums, one per unit; adagrad's sums or adam's first moments, per weight
    float* second;  // adam's second moments
    float* scale_first;  // the same of scales that learn, one per unit; read of PR_INT8 alone
    float* scale_second;
    int64_t storage;     // a pr_storage, of rows when it is PR_INT8 or PR_INT16
    int64_t unit_bytes;  // stored
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
    uint64_t key;  // of the random bits of this step
    bool all_float32;
    bool learns_scales;  // of PR_INT8
};

// Floats of scratch that other storages need, per number of a unit: the unit as float32, and its random bits.
constexpr int64_t kScratchPerUnit = 4;

// Applies the pairs begin..end-1. scratch: float [kScratchPerUnit * unit], or NULL where all regions are float32. All
// levels give the same bits.
void update_generic(const UpdateCall& call, int64_t begin, int64_t end, float* scratch);
void update_avx2(const UpdateCall& call, int64_t begin, int64_t end, float* scratch);
void update_avx512(const UpdateCall& call, int64_t begin, int64_t end, float* scratch);

}  // namespace pocketrec
