// The loops of chain.hpp for the SIMD level that the including file is compiled for.
#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "chain.hpp"

namespace {

#include "lanes.hpp"

// Rows and registers whose sums are kept together.
constexpr int kRows = 4, kBlocks = 2;

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

// Some rows of a product, kCount at a time, in kBlock registers of columns from the first one on.
template <int kCount, int kBlock>
POCKETREC_INLINE void tile(const float* left, int64_t stride, int64_t inner, const float* right, int64_t right_stride,
                           float* out) {
    Floats sums[kCount][kBlock] = {};
    for (int64_t r = 0; r < inner; ++r)
        for (int b = 0; b < kBlock; ++b) {
            const Floats some = load<Floats>(right + r * right_stride + b * kLanes);
            for (int i = 0; i < kCount; ++i) sums[i][b] += left[i * stride + r] * some;
        }
    for (int i = 0; i < kCount; ++i)
        for (int b = 0; b < kBlock; ++b) store<false>(out + i * right_stride + b * kLanes, sums[i][b]);
}

void multiply(const float* left, int64_t rows, int64_t stride, int64_t inner, const float* right, int64_t columns,
              int64_t right_stride, float* out) {
    by_rows(rows, [&](int64_t i, auto count) POCKETREC_LAMBDA {
        const float* own = left + i * stride;
        float* to = out + i * right_stride;
        int64_t c = 0;
        for (; c + kBlocks * kLanes <= columns; c += kBlocks * kLanes)
            tile<count, kBlocks>(own, stride, inner, right + c, right_stride, to + c);
        for (; c < columns; c += kLanes) tile<count, 1>(own, stride, inner, right + c, right_stride, to + c);
    });
}

void turn(const float* from, int64_t rows, int64_t columns, int64_t from_stride, float* to, int64_t to_stride) {
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4) {
        int64_t c = 0;
        for (; c + 4 <= columns; c += 4) {
            Four a[4], b[4];
            for (int i = 0; i < 4; ++i) a[i] = load<Four>(from + (r + i) * from_stride + c);
            for (int i = 0; i < 4; i += 2) {
                b[i] = __builtin_shuffle(a[i], a[i + 1], (Ints4{0, 4, 1, 5}));
                b[i + 1] = __builtin_shuffle(a[i], a[i + 1], (Ints4{2, 6, 3, 7}));
            }
            const Four turned[4] = {
                __builtin_shuffle(b[0], b[2], (Ints4{0, 1, 4, 5})), __builtin_shuffle(b[0], b[2], (Ints4{2, 3, 6, 7})),
                __builtin_shuffle(b[1], b[3], (Ints4{0, 1, 4, 5})), __builtin_shuffle(b[1], b[3], (Ints4{2, 3, 6, 7}))};
            for (int i = 0; i < 4; ++i) __builtin_memcpy(to + (c + i) * to_stride + r, &turned[i], sizeof turned[i]);
        }
        for (; c < columns; ++c)
            for (int i = 0; i < 4; ++i) to[c * to_stride + r + i] = from[(r + i) * from_stride + c];
    }
    for (; r < rows; ++r)
        for (int64_t c = 0; c < columns; ++c) to[c * to_stride + r] = from[r * from_stride + c];
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

const pocketrec::ChainLoops POCKETREC_LOOPS{&multiply, &turn, &open};
