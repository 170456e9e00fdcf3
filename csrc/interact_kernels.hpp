// The loops of pr_interact and pr_interact_backward, for one level: the file that includes this defines
// POCKETREC_LANES (floats per register) and POCKETREC_LOOPS (the name of the level's table of functions).
//
// Everything here is of this file alone (anonymous namespace), and nothing of the standard library is instantiated, so
// that no function compiled for a wide level can be taken by the linker for a narrow one.
//
// Same bits at every level: each product is rounded, then added to a sum that runs through d (forward) or j (backward)
// from 0 upwards; lanes are different sums. Fused multiply-add would take a quarter of the instructions away and give
// each level bits of its own.
#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "interact.hpp"

namespace pocketrec {
namespace {

constexpr int64_t LANES = POCKETREC_LANES;
constexpr int64_t TILE = 4;  // vectors whose sums are kept in registers together

// unaligned, as the rows of a table are
typedef float Lanes __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

inline int64_t rounded(int64_t count, int64_t to) {
    return (count + to - 1) / to * to;
}

// Where the products of vector i with those before it begin.
inline int64_t triangle(int64_t i) {
    return i * (i - 1) / 2;
}

inline Lanes load(const float* from) {
    return *reinterpret_cast<const Lanes*>(from);
}

inline void store(float* to, Lanes lanes) {
    *reinterpret_cast<Lanes*>(to) = lanes;
}

// -- numbers in memory: float32 or bfloat16 ---------------------------------------------------------------------------

typedef uint32_t Word __attribute__((may_alias));  // the bits of a float

inline int64_t bytes_of(int64_t storage) {
    return storage == PR_BFLOAT16 ? 2 : 4;
}

inline const void* at(const void* data, int64_t storage, int64_t index) {
    return static_cast<const char*>(data) + index * bytes_of(storage);
}

inline void* at(void* data, int64_t storage, int64_t index) {
    return static_cast<char*>(data) + index * bytes_of(storage);
}

inline void widen(float* to, const void* from, int64_t storage, int64_t count) {
    if (storage != PR_BFLOAT16) {
        std::memcpy(to, from, static_cast<size_t>(count) * 4);
        return;
    }
    const uint16_t* halves = static_cast<const uint16_t*>(from);
    Word* words = reinterpret_cast<Word*>(to);
    for (int64_t i = 0; i < count; ++i) words[i] = static_cast<uint32_t>(halves[i]) << 16;
}

// Rounded to the nearest, ties to even, as torch does; NaN stays NaN.
inline void narrow(void* to, const float* from, int64_t storage, int64_t count) {
    if (storage != PR_BFLOAT16) {
        std::memcpy(to, from, static_cast<size_t>(count) * 4);
        return;
    }
    const Word* words = reinterpret_cast<const Word*>(from);
    uint16_t* halves = static_cast<uint16_t*>(to);
    for (int64_t i = 0; i < count; ++i) {
        const uint32_t word = words[i], up = (word + 0x7FFFu + (word >> 16 & 1u)) >> 16;
        halves[i] = static_cast<uint16_t>((word & 0x7FFFFFFFu) > 0x7F800000u ? 0x7FC0u : up);
    }
}

// -- layout of the scratch --------------------------------------------------------------------------------------------

struct Room {
    explicit Room(const pr_interact& shape)
        : count(shape.columns + (shape.low ? 1 : 0)),
          pairs(triangle(count)),
          rows(rounded(count, LANES)),
          width(rounded(shape.dim, LANES)) {}

    int64_t count;  // vectors of a row of the batch
    int64_t pairs;
    int64_t rows;   // count and dim in whole registers
    int64_t width;
};

// All vectors of one row of the batch as float [count, width]; what is beyond dim, or beyond count, stays 0.
inline void gather(const pr_interact& shape, const Room& room, int64_t row, const void* low, const void* vectors,
                   float* to) {
    const int64_t dim = shape.dim;
    if (shape.low) {
        widen(to, at(low, shape.low_storage, row * dim), shape.low_storage, dim);
        to += room.width;
    }
    const int64_t storage = shape.vector_storage;
    const void* from = at(vectors, storage, row * shape.columns * dim);
    if (dim == room.width) return widen(to, from, storage, shape.columns * dim);
    for (int64_t c = 0; c < shape.columns; ++c, to += room.width) widen(to, at(from, storage, c * dim), storage, dim);
}

// The inverse, for the vectors after low.
inline void scatter(const pr_interact& shape, const Room& room, int64_t row, const float* from, void* vectors) {
    const int64_t dim = shape.dim, storage = shape.vector_storage;
    void* to = at(vectors, storage, row * shape.columns * dim);
    if (dim == room.width) return narrow(to, from, storage, shape.columns * dim);
    for (int64_t c = 0; c < shape.columns; ++c, from += room.width) narrow(at(to, storage, c * dim), from, storage, dim);
}

// From [rows, width] to [width, rows].
inline void turn(const float* from, float* to, const Room& room) {
#if defined(__AVX2__)
    for (int64_t i = 0; i < room.rows; i += 8)
        for (int64_t d = 0; d < room.width; d += 8) {
            __m256 a[8], b[8];
            for (int r = 0; r < 8; ++r) a[r] = _mm256_loadu_ps(from + (i + r) * room.width + d);
            for (int r = 0; r < 8; r += 2) {
                b[r] = _mm256_unpacklo_ps(a[r], a[r + 1]);
                b[r + 1] = _mm256_unpackhi_ps(a[r], a[r + 1]);
            }
            for (int r = 0; r < 8; r += 4) {
                a[r] = _mm256_shuffle_ps(b[r], b[r + 2], 0x44);
                a[r + 1] = _mm256_shuffle_ps(b[r], b[r + 2], 0xEE);
                a[r + 2] = _mm256_shuffle_ps(b[r + 1], b[r + 3], 0x44);
                a[r + 3] = _mm256_shuffle_ps(b[r + 1], b[r + 3], 0xEE);
            }
            for (int r = 0; r < 4; ++r) {
                _mm256_storeu_ps(to + (d + r) * room.rows + i, _mm256_permute2f128_ps(a[r], a[r + 4], 0x20));
                _mm256_storeu_ps(to + (d + r + 4) * room.rows + i, _mm256_permute2f128_ps(a[r], a[r + 4], 0x31));
            }
        }
#else
    for (int64_t d = 0; d < room.width; ++d)
        for (int64_t i = 0; i < room.rows; ++i) to[d * room.rows + i] = from[i * room.width + d];
#endif
}

// -- forward ----------------------------------------------------------------------------------------------------------

// Products of the vectors i to i + 3 with BLOCK registers of vectors from j on. What a register holds beyond the
// triangle is overwritten by the rows below, which come later.
template <int64_t BLOCK>
inline void product_tile(const float* turned, int64_t rows, int64_t dim, int64_t i, int64_t j, int64_t count,
                         float* line) {
    Lanes sums[TILE][BLOCK] = {};
    for (int64_t d = 0; d < dim; ++d) {
        const float* numbers = turned + d * rows;
        Lanes right[BLOCK];
        for (int64_t b = 0; b < BLOCK; ++b) right[b] = load(numbers + j + b * LANES);
        for (int64_t r = 0; r < TILE; ++r)
            for (int64_t b = 0; b < BLOCK; ++b) sums[r][b] += numbers[i + r] * right[b];
    }
    for (int64_t r = 0; r < TILE && i + r < count; ++r)
        for (int64_t b = 0; b < BLOCK; ++b) store(line + triangle(i + r) + j + b * LANES, sums[r][b]);
}

inline void products(const float* turned, const Room& room, int64_t dim, float* line) {
    for (int64_t i = 0; i < room.count; i += TILE) {
        const int64_t last = i + TILE < room.count ? i + TILE - 1 : room.count - 1;
        // from the right, so that only the first block writes beyond the ends of rows
        int64_t j = rounded(last, LANES);
        for (; j % (2 * LANES); j -= LANES)
            product_tile<1>(turned, room.rows, dim, i, j - LANES, room.count, line);
        for (; j > 0; j -= 2 * LANES)
            product_tile<2>(turned, room.rows, dim, i, j - 2 * LANES, room.count, line);
    }
}

void forward(const pr_interact& shape, int64_t first, int64_t last, const void* low, const void* vectors, void* out,
             float* scratch) {
    const Room room(shape);
    float* rows = scratch;
    float* turned = rows + room.rows * room.width;
    float* line = turned + room.rows * room.width;
    const int64_t ahead = shape.low ? shape.dim : 0;
    for (int64_t row = first; row < last; ++row) {
        gather(shape, room, row, low, vectors, rows);
        turn(rows, turned, room);
        products(turned, room, shape.dim, line);
        void* to = at(out, shape.out_storage, row * (ahead + room.pairs));
        narrow(to, rows, shape.out_storage, ahead);
        narrow(at(to, shape.out_storage, ahead), line, shape.out_storage, room.pairs);
    }
}

// -- backward ---------------------------------------------------------------------------------------------------------

template <int64_t BLOCK>
inline void add_products(Lanes (&sums)[TILE][BLOCK], int64_t r, float factor, const Lanes (&vector)[BLOCK]) {
    for (int64_t b = 0; b < BLOCK; ++b) sums[r][b] += factor * vector[b];
}

template <int64_t BLOCK>
inline void load_block(Lanes (&to)[BLOCK], const float* from) {
    for (int64_t b = 0; b < BLOCK; ++b) to[b] = load(from + b * LANES);
}

// Gradients of the vectors i to i + 3 in the dimensions from d on: sum over j of g(i, j) times vector j. g stands in
// `line` as the triangle; it is symmetric, so where j > i, four of its numbers stand side by side.
template <int64_t BLOCK>
inline void gradient_tile(const float* line, const float* rows, const Room& room, int64_t i, int64_t d, float* to) {
    Lanes sums[TILE][BLOCK] = {};
    Lanes vector[BLOCK];
    const float* left[TILE];
    for (int64_t r = 0; r < TILE; ++r) left[r] = line + triangle(i + r);
    for (int64_t j = 0; j < i; ++j) {
        load_block(vector, rows + j * room.width + d);
        for (int64_t r = 0; r < TILE; ++r) add_products(sums, r, left[r][j], vector);
    }
    for (int64_t c = 0; c < TILE && i + c < room.count; ++c) {
        load_block(vector, rows + (i + c) * room.width + d);
        for (int64_t r = 0; r < TILE; ++r)
            if (r != c) add_products(sums, r, r > c ? left[r][i + c] : line[triangle(i + c) + i + r], vector);
    }
    for (int64_t j = i + TILE; j < room.count; ++j) {
        load_block(vector, rows + j * room.width + d);
        const float* below = line + triangle(j) + i;
        for (int64_t r = 0; r < TILE; ++r) add_products(sums, r, below[r], vector);
    }
    for (int64_t r = 0; r < TILE && i + r < room.count; ++r)
        for (int64_t b = 0; b < BLOCK; ++b) store(to + (i + r) * room.width + d + b * LANES, sums[r][b]);
}

inline void gradients(const float* line, const float* rows, const Room& room, float* found) {
    for (int64_t i = 0; i < room.count; i += TILE) {
        int64_t d = 0;
        for (; d + 2 * LANES <= room.width; d += 2 * LANES) gradient_tile<2>(line, rows, room, i, d, found);
        if (d < room.width) gradient_tile<1>(line, rows, room, i, d, found);
    }
}

void backward(const pr_interact& shape, int64_t first, int64_t last, const void* grad, const void* low,
              const void* vectors, void* grad_low, void* grad_vectors, float* scratch) {
    const Room room(shape);
    float* rows = scratch;
    float* found = rows + room.rows * room.width;
    float* line = found + room.rows * room.width;  // [low | triangle]; the loops read, and leave, some beyond its end
    const int64_t dim = shape.dim, ahead = shape.low ? dim : 0;
    for (int64_t row = first; row < last; ++row) {
        gather(shape, room, row, low, vectors, rows);
        widen(line, at(grad, shape.out_storage, row * (ahead + room.pairs)), shape.out_storage, ahead + room.pairs);
        gradients(line + ahead, rows, room, found);
        const float* from = found;
        if (shape.low) {
            for (int64_t d = 0; d < dim; ++d) line[d] += found[d];
            narrow(at(grad_low, shape.low_storage, row * dim), line, shape.low_storage, dim);
            from += room.width;
        }
        scatter(shape, room, row, from, grad_vectors);
    }
}

}  // namespace

const InteractLoops POCKETREC_LOOPS{&forward, &backward};

}  // namespace pocketrec
