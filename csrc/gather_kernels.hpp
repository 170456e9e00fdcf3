// The loops of gather.hpp for the SIMD level that the including file is compiled for. That file defines kGather.
#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "gather.hpp"

namespace {

#include "lanes.hpp"
#include "storages.hpp"

using pocketrec::Blocks;
using pocketrec::Format;

// Rows that are asked for ahead of the one that is read, so that so many cache lines are under way.
inline int64_t lookahead(int64_t bytes) {
    constexpr int64_t kLines = 64;
    const int64_t lines = (bytes + 63) / 64;
    return lines >= kLines ? 1 : kLines / lines < 24 ? kLines / lines : 24;
}

inline void prefetch(const uint8_t* row, int64_t bytes) {
    for (int64_t place = 0; place < bytes; place += 64) __builtin_prefetch(row + place);
    __builtin_prefetch(row + bytes - 1);  // a row that is not aligned ends in one line more
}

template <bool stream>
inline void fill_zero(float* out, int64_t dim) {
    const int64_t whole = dim / kLanes * kLanes;
    for (int64_t d = 0; d < whole; d += kLanes) store<stream>(out + d, Floats{});
    for (int64_t d = whole; d < dim; ++d) out[d] = 0.0f;
}

// kDim 0 stands for any; the others let the compiler unroll.
template <class Read, int kDim, bool stream>
void read_rows(Format format, const uint8_t* const* rows, int64_t count, float* out) {
    const int64_t dim = kDim ? kDim : format.dim, bytes = pocketrec::row_bytes(Format{format.storage, dim});
    const int64_t far = lookahead(bytes), last = count - 1;
    for (int64_t i = 0; i < far && i <= last; ++i)
        if (rows[i]) prefetch(rows[i], bytes);
    for (int64_t i = 0; i < count; ++i, out += dim) {
        if (i + far <= last) prefetch(rows[i + far], bytes);
        if (!rows[i]) {
            fill_zero<stream>(out, dim);
            continue;
        }
        const Read read(rows[i], dim);
        const int64_t whole = dim / kLanes * kLanes;
        for (int64_t d = 0; d < whole; d += kLanes) store<stream>(out + d, read.at(d));
        for (int64_t d = whole; d < dim; ++d) out[d] = read.one(d);
    }
    if (stream) finish_stream();
}

struct Plus {
    template <class Number>
    static Number of(Number a, Number b) {
        return a + b;
    }
};

struct Times {
    template <class Number>
    static Number of(Number a, Number b) {
        return a * b;
    }
};

template <class Read, class Combine, int kDim>
void combine_rows(Format format, const uint8_t* const* rows, int64_t count, int64_t parts, float* out) {
    const int64_t dim = kDim ? kDim : format.dim, bytes = pocketrec::row_bytes(Format{format.storage, dim});
    const int64_t far = (lookahead(bytes) + parts - 1) / parts * parts, last = count * parts - 1;
    for (int64_t i = 0; i < count * parts; i += parts, out += dim) {
        for (int64_t p = i + far; p < i + far + parts && p <= last; ++p)
            if (rows[p]) prefetch(rows[p], bytes);
        if (!rows[i]) {
            fill_zero<false>(out, dim);
        } else if (parts >= 2 && rows[i + 1]) {
            const Read first(rows[i], dim), second(rows[i + 1], dim);
            const int64_t whole = dim / kLanes * kLanes;
            for (int64_t d = 0; d < whole; d += kLanes) store<false>(out + d, Combine::of(first.at(d), second.at(d)));
            for (int64_t d = whole; d < dim; ++d) out[d] = Combine::of(first.one(d), second.one(d));
        } else {
            const Read only(rows[i], dim);
            const int64_t whole = dim / kLanes * kLanes;
            for (int64_t d = 0; d < whole; d += kLanes) store<false>(out + d, only.at(d));
            for (int64_t d = whole; d < dim; ++d) out[d] = only.one(d);
        }
        for (int64_t p = 2; p < parts; ++p) {
            if (!rows[i + p]) continue;
            const Read next(rows[i + p], dim);
            const int64_t whole = dim / kLanes * kLanes;
            for (int64_t d = 0; d < whole; d += kLanes)
                store<false>(out + d, Combine::of(load<Floats>(out + d), next.at(d)));
            for (int64_t d = whole; d < dim; ++d) out[d] = Combine::of(out[d], next.one(d));
        }
    }
}

// Calls `use` with the loop for a storage and a width; kDim 0 for widths that have no loop of their own.
template <template <class, int> class Loop, class... Arguments>
inline void choose(Format format, Arguments... arguments) {
#define POCKETREC_WIDTHS(Read)                                            \
    switch (format.dim) {                                                 \
        case 16: return Loop<Read, 16>::run(format, arguments...);        \
        case 32: return Loop<Read, 32>::run(format, arguments...);        \
        case 64: return Loop<Read, 64>::run(format, arguments...);        \
        case 128: return Loop<Read, 128>::run(format, arguments...);      \
        default: return Loop<Read, 0>::run(format, arguments...);         \
    }
    switch (format.storage) {
        case 0: POCKETREC_WIDTHS(ReadFloat32)
        case 1: POCKETREC_WIDTHS(ReadFloat16)
        case 2: POCKETREC_WIDTHS(ReadBfloat16)
        case 4: POCKETREC_WIDTHS(ReadInt4)
        default: POCKETREC_WIDTHS(ReadInt8)
    }
#undef POCKETREC_WIDTHS
}

template <class Read, int kDim>
struct Rows {
    static void run(Format format, const uint8_t* const* rows, int64_t count, float* out, bool stream) {
        if (stream) return read_rows<Read, kDim, true>(format, rows, count, out);
        read_rows<Read, kDim, false>(format, rows, count, out);
    }
};

template <class Read, int kDim>
struct Sums {
    static void run(Format format, const uint8_t* const* rows, int64_t count, int64_t parts, float* out) {
        combine_rows<Read, Plus, kDim>(format, rows, count, parts, out);
    }
};

template <class Read, int kDim>
struct Products {
    static void run(Format format, const uint8_t* const* rows, int64_t count, int64_t parts, float* out) {
        combine_rows<Read, Times, kDim>(format, rows, count, parts, out);
    }
};

void rows(Format format, const uint8_t* const* rows, int64_t count, float* out, bool stream) {
    choose<Rows>(format, rows, count, out, stream);
}

void sums(Format format, const uint8_t* const* rows, int64_t count, int64_t parts, float* out) {
    choose<Sums>(format, rows, count, parts, out);
}

void products(Format format, const uint8_t* const* rows, int64_t count, int64_t parts, float* out) {
    choose<Products>(format, rows, count, parts, out);
}

// Consecutive weights of a shared array of floats.
template <class Read, int kBytes>
struct FloatArray {
    static const uint8_t* place(const uint8_t* data, int64_t address) { return data + address * kBytes; }

    static void copy(const uint8_t* data, int64_t address, int64_t count, float* out) {
        const Read read(place(data, address), 0);
        const int64_t whole = count / kLanes * kLanes;
        for (int64_t d = 0; d < whole; d += kLanes) store<false>(out + d, read.at(d));
        for (int64_t d = whole; d < count; ++d) out[d] = read.one(d);
    }
};

// The same of an array of codes: rows of 64, each with its scale and bias; `at` of kStep 2 takes even places only.
template <class Read, int kBytes, int kStep>
struct CodeArray {
    static const uint8_t* place(const uint8_t* data, int64_t address) { return data + address / 64 * kBytes; }

    static void copy(const uint8_t* data, int64_t address, int64_t count, float* out) {
        while (count > 0) {
            const int64_t first = address % 64, length = count < 64 - first ? count : 64 - first;
            const Read read(place(data, address), 64);
            int64_t d = 0;
            for (; (first + d) % kStep; ++d) out[d] = read.one(first + d);
            for (; d + kLanes <= length; d += kLanes) store<false>(out + d, read.at(first + d));
            for (; d < length; ++d) out[d] = read.one(first + d);
            address += length, count -= length, out += length;
        }
    }
};

// Negates out[j] where bit j is set.
inline void apply_signs(const uint64_t* signs, int64_t count, float* out) {
    for (int64_t j = 0; j < count; ++j) {
        const uint32_t flip = static_cast<uint32_t>(signs[j / 64] >> (j % 64)) << 31;
        out[j] = bits_of<float>(bits_of<uint32_t>(out[j]) ^ flip);
    }
}

template <class Array>
void copy_blocks(const Blocks& blocks, const int64_t* starts, int64_t count, float* out, int64_t out_stride) {
    const int64_t parts = blocks.parts, last = count * parts - 1, far = parts < 16 ? 16 / parts * parts : parts;
    for (int64_t i = 0; i < count; ++i, starts += parts, out += out_stride) {
        for (int64_t p = far; p < far + parts && i * parts + p <= last; ++p)
            if (starts[p] >= 0) prefetch(Array::place(blocks.data, starts[p]), 4 * blocks.length);
        if (starts[0] < 0) {
            fill_zero<false>(out, blocks.dim);
            continue;
        }
        for (int64_t p = 0, d = 0; p < parts && d < blocks.dim; ++p, d += blocks.length) {
            const int64_t length = blocks.dim - d < blocks.length ? blocks.dim - d : blocks.length;
            const int64_t before_end = blocks.start + blocks.size - starts[p];
            const int64_t first = length < before_end ? length : before_end;
            Array::copy(blocks.data, starts[p], first, out + d);
            if (first < length) Array::copy(blocks.data, blocks.start, length - first, out + d + first);
            if (blocks.signs) apply_signs(blocks.signs + (i * parts + p) * blocks.sign_words, length, out + d);
        }
    }
}

void blocks(const Blocks& blocks, const int64_t* starts, int64_t count, float* out, int64_t out_stride) {
    switch (blocks.storage) {
        case 0: return copy_blocks<FloatArray<ReadFloat32, 4>>(blocks, starts, count, out, out_stride);
        case 1: return copy_blocks<FloatArray<ReadFloat16, 2>>(blocks, starts, count, out, out_stride);
        case 2: return copy_blocks<FloatArray<ReadBfloat16, 2>>(blocks, starts, count, out, out_stride);
        case 4: return copy_blocks<CodeArray<ReadInt4, 36, 2>>(blocks, starts, count, out, out_stride);
        default: return copy_blocks<CodeArray<ReadInt8, 72, 1>>(blocks, starts, count, out, out_stride);
    }
}

void add_scaled(const float* vector, float factor, int64_t dim, float* sum) {
    const int64_t whole = dim / kLanes * kLanes;
    for (int64_t d = 0; d < whole; d += kLanes)
        store<false>(sum + d, load<Floats>(sum + d) + load<Floats>(vector + d) * factor);
    for (int64_t d = whole; d < dim; ++d) sum[d] += vector[d] * factor;
}

inline void add(const float* vector, int64_t dim, float* sum) {
    const int64_t whole = dim / kLanes * kLanes;
    for (int64_t d = 0; d < whole; d += kLanes) store<false>(sum + d, load<Floats>(sum + d) + load<Floats>(vector + d));
    for (int64_t d = whole; d < dim; ++d) sum[d] += vector[d];
}

template <int kDim>
void add_rows_of(const pocketrec::Additions& additions, int64_t count, int32_t* next) {
    const int64_t dim = kDim ? kDim : additions.dim;
    constexpr int64_t kFar = 8;
    for (int64_t i = 0; i < count; ++i) {
        const int32_t place = additions.places[i];
        if (i + kFar < count) {
            const int32_t later = additions.places[i + kFar];
            if (later >= additions.begin && later < *next) {
                float* sum = additions.sums + later * dim;
                for (int64_t d = 0; d < dim; d += 16) __builtin_prefetch(sum + d, 1);
            }
        }
        if (place < additions.begin || place >= additions.end) continue;
        const float* vector = additions.vectors[i / additions.parts];
        float* sum = additions.sums + place * dim;
        if (place < *next) {
            add(vector, dim, sum);
        } else {
            __builtin_memcpy(sum, vector, static_cast<unsigned long>(dim) * sizeof(float));
            *next = place + 1;
        }
    }
}

void add_rows(const pocketrec::Additions& additions, int64_t count, int32_t* next) {
    switch (additions.dim) {
        case 16: return add_rows_of<16>(additions, count, next);
        case 32: return add_rows_of<32>(additions, count, next);
        case 64: return add_rows_of<64>(additions, count, next);
        case 128: return add_rows_of<128>(additions, count, next);
        default: return add_rows_of<0>(additions, count, next);
    }
}

}  // namespace
