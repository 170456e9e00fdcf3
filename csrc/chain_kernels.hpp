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

// Calls body(first, Constant<n>) for rows first to first + n - 1, n of kMost, or of 4, 2 and 1 at the end.
template <int kMost, class Body>
POCKETREC_INLINE void by_rows(int64_t rows, Body body) {
    int64_t i = 0;
    for (; i + kMost <= rows; i += kMost) body(i, Constant<kMost>());
    if (kMost > 4 && i + 4 <= rows) {
        body(i, Constant<4>());
        i += 4;
    }
    if (i + 2 <= rows) {
        body(i, Constant<2>());
        i += 2;
    }
    if (i < rows) body(i, Constant<1>());
}

// Some rows of a product, kCount at a time, in kBlock registers of columns from the first one on.
template <int kCount, int kBlock>
POCKETREC_INLINE void tile(const float* left, int64_t row_stride, int64_t stride, int64_t inner, const float* right,
                           int64_t right_stride, float* out, bool more) {
    Floats sums[kCount][kBlock] = {};
    if (more)
        for (int i = 0; i < kCount; ++i)
            for (int b = 0; b < kBlock; ++b) sums[i][b] = load<Floats>(out + i * right_stride + b * kLanes);
    for (int64_t r = 0; r < inner; ++r)
        for (int b = 0; b < kBlock; ++b) {
            const Floats some = load<Floats>(right + r * right_stride + b * kLanes);
            for (int i = 0; i < kCount; ++i) sums[i][b] += left[i * row_stride + r * stride] * some;
        }
    for (int i = 0; i < kCount; ++i)
        for (int b = 0; b < kBlock; ++b) store<false>(out + i * right_stride + b * kLanes, sums[i][b]);
}

void multiply(const float* left, int64_t rows, int64_t row_stride, int64_t stride, int64_t inner, const float* right,
              int64_t columns, int64_t right_stride, float* out, bool more) {
    if (columns == kLanes) {  // as many sums at once, in fewer registers of columns
        by_rows<kRows * kBlocks>(rows, [&](int64_t i, auto count) POCKETREC_LAMBDA {
            tile<count, 1>(left + i * row_stride, row_stride, stride, inner, right, right_stride, out + i * right_stride, more);
        });
        return;
    }
    by_rows<kRows>(rows, [&](int64_t i, auto count) POCKETREC_LAMBDA {
        const float* own = left + i * row_stride;
        float* to = out + i * right_stride;
        int64_t c = 0;
        for (; c + kBlocks * kLanes <= columns; c += kBlocks * kLanes)
            tile<count, kBlocks>(own, row_stride, stride, inner, right + c, right_stride, to + c, more);
        for (; c < columns; c += kLanes)
            tile<count, 1>(own, row_stride, stride, inner, right + c, right_stride, to + c, more);
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

// The sums of some rows of slice, kCount of them, which stay in registers.
template <int kCount>
POCKETREC_INLINE void open_some(const float* grad, int64_t rows, int64_t count, int64_t width, const float* left,
                                const float* slice, float* left_sums, float* slice_sums, bool more) {
    for (int64_t d = 0; d < width; d += kLanes) {
        Floats own[kCount], sums[kCount];
        for (int j = 0; j < kCount; ++j) {
            own[j] = load<Floats>(slice + j * width + d);
            sums[j] = load<Floats>(slice_sums + j * width + d);
        }
        for (int64_t i = 0; i < rows; ++i) {
            Floats sum = more ? load<Floats>(left_sums + i * width + d) : Floats{};
            const Floats some = load<Floats>(left + i * width + d);
            for (int j = 0; j < kCount; ++j) {
                sum += grad[i * count + j] * own[j];
                sums[j] += grad[i * count + j] * some;
            }
            store<false>(left_sums + i * width + d, sum);
        }
        for (int j = 0; j < kCount; ++j) store<false>(slice_sums + j * width + d, sums[j]);
    }
}

void open(const float* grad, int64_t rows, int64_t count, int64_t width, const float* left, const float* slice,
          float* left_sums, float* slice_sums, bool more) {
    by_rows<kRows>(count, [&](int64_t j, auto some) POCKETREC_LAMBDA {
        open_some<some>(grad + j, rows, count, width, left, slice + j * width, left_sums, slice_sums + j * width,
                        more || j);
    });
}

// kCount registers of columns, from the first one on.
template <int kCount>
POCKETREC_INLINE void sum_columns(const float* rows, int64_t width, const int64_t* which, int64_t count, float* out) {
    Floats sums[kCount];
    for (int c = 0; c < kCount; ++c) sums[c] = load<Floats>(rows + which[0] * width + c * kLanes);
    for (int64_t i = 1; i < count; ++i)
        for (int c = 0; c < kCount; ++c) sums[c] += load<Floats>(rows + which[i] * width + c * kLanes);
    for (int c = 0; c < kCount; ++c) store<false>(out + c * kLanes, sums[c]);
}

void sum(const float* rows, int64_t width, const int64_t* which, int64_t count, float* out) {
    int64_t d = 0;
    for (; d + 4 * kLanes <= width; d += 4 * kLanes) sum_columns<4>(rows + d, width, which, count, out + d);
    for (; d + kLanes <= width; d += kLanes) sum_columns<1>(rows + d, width, which, count, out + d);
    for (; d < width; ++d) {
        out[d] = rows[which[0] * width + d];
        for (int64_t i = 1; i < count; ++i) out[d] += rows[which[i] * width + d];
    }
}

}  // namespace

const pocketrec::ChainLoops POCKETREC_LOOPS{&multiply, &turn, &open, &sum};
