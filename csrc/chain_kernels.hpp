// The loops of chain.hpp for the SIMD level that the including file is compiled for.
#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "chain.hpp"

namespace {

#include "lanes.hpp"

// Rows and registers whose sums are kept together.
constexpr int kRows = 4, kBlocks = 2, kSums = 16, kParts = kSums / kLanes;

// Calls body(first, Constant<n>) for rows first to first + n - 1, n of kRows, or of 2 and 1 at the end.
template <class Body>
POCKETREC_INLINE void by_rows(int64_t rows, Body body) {
    int64_t i = 0;
    for (; i + kRows <= rows; i += kRows) body(i, Constant<kRows>());
    if (i + 2 <= rows) {
        body(i, Constant<2>());
        i += 2;
    }
    if (i < rows) body(i, Constant<1>());
}

// Some rows of a product, kCount at a time, in kBlock registers of columns from `column` on.
template <int kCount, int kBlock>
POCKETREC_INLINE void tile(const float* left, int64_t stride, int64_t inner, const float* right, int64_t columns,
                           int64_t column, float* out) {
    Floats sums[kCount][kBlock] = {};
    for (int64_t r = 0; r < inner; ++r)
        for (int b = 0; b < kBlock; ++b) {
            const Floats some = load<Floats>(right + r * columns + column + b * kLanes);
            for (int i = 0; i < kCount; ++i) sums[i][b] += left[i * stride + r] * some;
        }
    for (int i = 0; i < kCount; ++i)
        for (int b = 0; b < kBlock; ++b) store<false>(out + i * columns + column + b * kLanes, sums[i][b]);
}

void multiply(const float* left, int64_t rows, int64_t stride, int64_t inner, const float* right, int64_t columns,
              float* out) {
    by_rows(rows, [&](int64_t i, auto count) POCKETREC_LAMBDA {
        int64_t c = 0;
        for (; c + kBlocks * kLanes <= columns; c += kBlocks * kLanes)
            tile<count, kBlocks>(left + i * stride, stride, inner, right, columns, c, out + i * columns);
        for (; c < columns; c += kLanes) tile<count, 1>(left + i * stride, stride, inner, right, columns, c, out + i * columns);
    });
}

// The product of two rows summed: sixteen sums, folded in halves.
POCKETREC_INLINE float dot(const float* a, const float* b, int64_t width) {
    Floats sums[kParts] = {};
    for (int64_t d = 0; d < width; d += kSums)
        for (int p = 0; p < kParts; ++p)
            sums[p] += load<Floats>(a + d + p * kLanes) * load<Floats>(b + d + p * kLanes);
    Four fours[4];
    __builtin_memcpy(fours, sums, sizeof fours);
    return one_of(four_of(fours));
}

void close(const float* left, int64_t rows, const float* slice, int64_t count, int64_t width, float* out) {
    for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < count; ++j) out[i * count + j] = dot(left + i * width, slice + j * width, width);
}

void open(const float* grad, int64_t rows, int64_t count, int64_t width, const float* left, const float* slice,
          float* left_sums, float* slice_sums) {
    for (int64_t d = 0; d < width; d += kLanes) {
        for (int64_t i = 0; i < rows; ++i) {
            Floats sum = load<Floats>(left_sums + i * width + d);
            for (int64_t j = 0; j < count; ++j) sum += grad[i * count + j] * load<Floats>(slice + j * width + d);
            store<false>(left_sums + i * width + d, sum);
        }
        for (int64_t j = 0; j < count; ++j) {
            Floats sum = load<Floats>(slice_sums + j * width + d);
            for (int64_t i = 0; i < rows; ++i) sum += grad[i * count + j] * load<Floats>(left + i * width + d);
            store<false>(slice_sums + j * width + d, sum);
        }
    }
}

}  // namespace

const pocketrec::ChainLoops POCKETREC_LOOPS{&multiply, &close, &open};
