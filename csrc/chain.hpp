// Tensor trains: the vector of an id is the product of one slice of each core. src/pocketrec/native/chain.py is the
// definition; the loops, which are compiled once per SIMD level, are in chain_kernels.hpp.
#pragma once

#include <cstdint>

#include "pocketrec.h"

namespace pocketrec {

// Products of small matrices. Every sum runs through its index from 0 upwards, and lanes are different sums: so all levels
// give the same bits.
struct ChainLoops {
    // out [rows, right_stride] = left times right [inner, right_stride], of both of which the first `columns` of a row
    // count, a multiple of sixteen. Number r of row i of left is left[i * row_stride + r * stride], r below `inner`. With
    // `more` the sums go on from what out holds.
    void (*multiply)(const float* left, int64_t rows, int64_t row_stride, int64_t stride, int64_t inner, const float* right,
                     int64_t columns, int64_t right_stride, float* out, bool more);
    // to [columns, to_stride] = the transpose of from [rows, from_stride], of which the first `columns` of a row count.
    void (*turn)(const float* from, int64_t rows, int64_t columns, int64_t from_stride, float* to, int64_t to_stride);
    // The gradients of out [rows, count] = left [rows, width] times the transpose of slice [count, width]: left_sums [rows,
    // width] += grad [rows, count] times slice, and slice_sums [count, width] += the transpose of grad times left.
    // Without `more` left_sums begin at zero.
    void (*open)(const float* grad, int64_t rows, int64_t count, int64_t width, const float* left, const float* slice,
                 float* left_sums, float* slice_sums, bool more);
    // out [width] = the sum of some of the rows [., width], in the order in which they are named; at least one.
    void (*sum)(const float* rows, int64_t width, const int64_t* which, int64_t count, float* out);
};

extern const ChainLoops chain_generic;
#if defined(__x86_64__)
extern const ChainLoops chain_avx2;
extern const ChainLoops chain_avx512;
#endif

// pr_lookup and pr_compact with combining PR_CONTRACT.
void chain_lookup(const pr_request& request, float* out);
int64_t chain_compact(const pr_request& request, const float* grad, int64_t capacity, int64_t* addresses, float* grads);

}  // namespace pocketrec
