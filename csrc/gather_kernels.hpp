// The loops of gather.hpp for the SIMD level that the including file is compiled for. That file defines kGather.
#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "gather.hpp"
#include "mix.hpp"

namespace {

#include "lanes.hpp"
#include "address_kernels.hpp"
#include "storages.hpp"

using pocketrec::Blocks;
using pocketrec::Format;
using pocketrec::Memory;

// Rows that are asked for ahead of the one that is read, so that so many cache lines are under way.
inline int64_t lookahead(int64_t bytes) {
    constexpr int64_t kLines = 64;
    const int64_t lines = (bytes + 63) / 64;
    return lines >= kLines ? 1 : kLines / lines < 32 ? kLines / lines : 32;
}

// Asks for every line of a row. One that need not begin at a line may end in one more, of which its last byte is.
// kLevel: 3 for the nearest cache, 2 for the one behind it.
template <int kLevel>
POCKETREC_INLINE void prefetch_to(const uint8_t* row, int64_t bytes, bool whole_lines) {
    for (int64_t place = 0; place < bytes; place += 64) __builtin_prefetch(row + place, 0, kLevel);
    if (!whole_lines) __builtin_prefetch(row + bytes - 1, 0, kLevel);
}

POCKETREC_INLINE void prefetch(const uint8_t* row, int64_t bytes, bool whole_lines) {
    prefetch_to<3>(row, bytes, whole_lines);
}

constexpr int64_t kNearRows = 8, kFarRows = 16;

inline bool has_whole_lines(Memory memory, int64_t bytes) {
    return bytes % 64 == 0 && memory.scale % 64 == 0 && bits_of<uint64_t>(memory.base) % 64 == 0;
}

template <bool stream>
POCKETREC_INLINE void fill_zero(float* out, int64_t dim) {
    const int64_t whole = dim / kLanes * kLanes;
    for (int64_t d = 0; d < whole; d += kLanes) store<stream>(out + d, Floats{});
    for (int64_t d = whole; d < dim; ++d) out[d] = 0.0f;
}

template <class Read, bool stream>
POCKETREC_INLINE void read_row(const uint8_t* row, int64_t dim, float* out) {
    const Read read(row, dim);
    const int64_t whole = dim / kLanes * kLanes;
    for (int64_t d = 0; d < whole; d += kLanes) store<stream>(out + d, read.at(d));
    for (int64_t d = whole; d < dim; ++d) out[d] = read.one(d);
}

// kDim 0 stands for any; the others let the compiler unroll.
template <class Read, int kDim, bool stream>
int64_t read_rows(Format format, Memory memory, const int64_t* places, int64_t count, float* out) {
    const int64_t dim = kDim ? kDim : format.dim, bytes = pocketrec::row_bytes(Format{format.storage, dim});
    // Rows of several lines come in two steps, first into the second cache, which takes more requests at a time.
    const bool in_steps = bytes > 64;
    const int64_t near = in_steps ? kNearRows : lookahead(bytes), far = in_steps ? kNearRows + kFarRows : near;
    const bool whole_lines = has_whole_lines(memory, bytes);
    const auto row = [&](int64_t i) POCKETREC_LAMBDA { return memory.base + places[i] * memory.scale; };
    const auto read = [&](int64_t i) POCKETREC_LAMBDA {
        const int64_t place = places[i];
        if (static_cast<uint64_t>(place) < static_cast<uint64_t>(memory.end))
            read_row<Read, stream>(row(i), dim, out + i * dim);
        else if (place < 0)
            fill_zero<stream>(out + i * dim, dim);
        else
            return false;
        return true;
    };
    // any address may be asked for
    for (int64_t i = 0; i < near && i < count; ++i) prefetch(row(i), bytes, whole_lines);
    for (int64_t i = near; i < far && i < count; ++i) prefetch_to<2>(row(i), bytes, whole_lines);
    for (int64_t i = 0; i < count; ++i) {
        if (in_steps && i + far < count) prefetch_to<2>(row(i + far), bytes, whole_lines);
        if (i + near < count) prefetch(row(i + near), bytes, whole_lines);
        if (!read(i)) return i;
    }
    if (stream) finish_stream();
    return count;
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

// A value of two rows, the usual case.
template <class Read, class Combine, bool stream>
POCKETREC_INLINE void combine_two(const uint8_t* first, const uint8_t* second, int64_t dim, float* out) {
    const Read a(first, dim), b(second, dim);
    const int64_t whole = dim / kLanes * kLanes;
    for (int64_t d = 0; d < whole; d += kLanes) store<stream>(out + d, Combine::of(a.at(d), b.at(d)));
    for (int64_t d = whole; d < dim; ++d) out[d] = Combine::of(a.one(d), b.one(d));
}

// A value of any rows, some registers of numbers at a time, so that what was written is not read again. A function of
// its own: copies of it in all loops would double the size of this file's code.
template <class Read, class Combine, bool stream>
__attribute__((noinline)) void combine_all(Memory memory, const int64_t* places, int64_t parts, int64_t dim, float* out) {
    int64_t d = 0;
    const auto row = [&](int64_t p) POCKETREC_LAMBDA { return Read(memory.base + places[p] * memory.scale, dim); };
    const auto some = [&](auto vectors) POCKETREC_LAMBDA {
        for (; d + vectors * kLanes <= dim; d += vectors * kLanes) {
            Floats found[vectors] = {};
            for (int64_t p = 0; p < parts; ++p) {
                if (places[p] < 0) continue;
                const Read next = row(p);
                for (int v = 0; v < vectors; ++v) {
                    const Floats numbers = next.at(d + v * kLanes);
                    found[v] = p ? Combine::of(found[v], numbers) : numbers;
                }
            }
            for (int v = 0; v < vectors; ++v) store<stream>(out + d + v * kLanes, found[v]);
        }
    };
    some(Constant<4>{});
    some(Constant<2>{});
    some(Constant<1>{});
    for (; d < dim; ++d) {
        float found = 0.0f;
        for (int64_t p = 0; p < parts; ++p)
            if (places[p] >= 0) found = p ? Combine::of(found, row(p).one(d)) : row(p).one(d);
        out[d] = found;
    }
}

template <class Read, class Combine, int kDim, bool stream>
int64_t combine_rows(Format format, Memory memory, const int64_t* places, int64_t count, int64_t parts, float* out) {
    const int64_t dim = kDim ? kDim : format.dim, bytes = pocketrec::row_bytes(Format{format.storage, dim});
    // As many values as read_rows asks for rows, since often only one of a value's rows is far away. The two steps of
    // read_rows gain nothing here.
    const int64_t far = lookahead(bytes) * parts, all = count * parts;
    const bool whole_lines = has_whole_lines(memory, bytes);
    const auto row = [&](int64_t i) POCKETREC_LAMBDA { return memory.base + places[i] * memory.scale; };
    const auto is_row = [&](int64_t i) POCKETREC_LAMBDA {
        return static_cast<uint64_t>(places[i]) < static_cast<uint64_t>(memory.end);
    };
    for (int64_t i = 0; i < all; i += parts, out += dim) {
        for (int64_t p = i + far; p < i + far + parts && p < all; ++p) prefetch(row(p), bytes, whole_lines);
        if (parts == 2 && is_row(i) && is_row(i + 1)) {
            combine_two<Read, Combine, stream>(row(i), row(i + 1), dim, out);
            continue;
        }
        for (int64_t p = i; p < i + parts; ++p)
            if (places[p] >= memory.end) return p;
        combine_all<Read, Combine, stream>(memory, places + i, parts, dim, out);
    }
    if (stream) finish_stream();
    return all;
}

// Calls the loop for a storage and a width; 0 for widths that have none of their own.
template <template <class, int> class Loop, class... Arguments>
inline int64_t choose(Format format, Arguments... arguments) {
#define POCKETREC_WIDTHS(Read)                                       \
    switch (format.dim) {                                            \
        case 16: return Loop<Read, 16>::run(format, arguments...);   \
        case 32: return Loop<Read, 32>::run(format, arguments...);   \
        case 64: return Loop<Read, 64>::run(format, arguments...);   \
        case 128: return Loop<Read, 128>::run(format, arguments...); \
        default: return Loop<Read, 0>::run(format, arguments...);    \
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
    static int64_t run(Format format, Memory memory, const int64_t* places, int64_t count, float* out, bool stream) {
        return stream ? read_rows<Read, kDim, true>(format, memory, places, count, out)
                      : read_rows<Read, kDim, false>(format, memory, places, count, out);
    }
};

template <class Read, int kDim>
struct Sums {
    static int64_t run(Format format, Memory memory, const int64_t* places, int64_t count, int64_t parts, float* out,
                       bool stream) {
        return stream ? combine_rows<Read, Plus, kDim, true>(format, memory, places, count, parts, out)
                      : combine_rows<Read, Plus, kDim, false>(format, memory, places, count, parts, out);
    }
};

template <class Read, int kDim>
struct Products {
    static int64_t run(Format format, Memory memory, const int64_t* places, int64_t count, int64_t parts, float* out,
                       bool stream) {
        return stream ? combine_rows<Read, Times, kDim, true>(format, memory, places, count, parts, out)
                      : combine_rows<Read, Times, kDim, false>(format, memory, places, count, parts, out);
    }
};

int64_t rows(Format format, Memory memory, const int64_t* places, int64_t count, float* out, bool stream) {
    return choose<Rows>(format, memory, places, count, out, stream);
}

int64_t sums(Format format, Memory memory, const int64_t* places, int64_t count, int64_t parts, float* out,
             bool stream) {
    return choose<Sums>(format, memory, places, count, parts, out, stream);
}

int64_t products(Format format, Memory memory, const int64_t* places, int64_t count, int64_t parts, float* out,
                 bool stream) {
    return choose<Products>(format, memory, places, count, parts, out, stream);
}

// The signs of kLanes numbers from number d of a vector on, in the places of the signs of floats.
POCKETREC_INLINE Words flips_at(const uint64_t* signs, int64_t d) {
#if defined(__AVX512F__)
    const Words above = {31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16};
#elif defined(__AVX2__)
    const Words above = {31, 30, 29, 28, 27, 26, 25, 24};
#else
    const Words above = {31, 30, 29, 28};
#endif
    const Words bits = Words{} + static_cast<uint32_t>(signs[d / 64] >> (d & 32));
    return bits << (above - static_cast<uint32_t>(d % 32)) & 0x80000000u;
}

// Negates out[d] where bit d is set.
inline void apply_signs(const uint64_t* signs, int64_t dim, float* out) {
    const int64_t whole = dim / kLanes * kLanes;
    for (int64_t d = 0; d < whole; d += kLanes)
        store<false>(out + d, bits_of<Floats>(load<Words>(out + d) ^ flips_at(signs, d)));
    for (int64_t d = whole; d < dim; ++d)
        out[d] = bits_of<float>(bits_of<uint32_t>(out[d]) ^ static_cast<uint32_t>(signs[d / 64] >> (d % 64)) << 31);
}

// kLanes numbers from blocks of 4 or 8 floats, which are shorter; place(i) is where block i begins. They meet in a
// register: a vector that is read back from where such blocks were copied to would wait for all their stores.
template <int kLength, class Place>
POCKETREC_INLINE Floats joined(Place place) {
#if defined(__AVX2__)
    const auto eight = [&](int64_t i) POCKETREC_LAMBDA {
        if (kLength == 8) return _mm256_loadu_ps(place(i));
        return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(place(2 * i))), _mm_loadu_ps(place(2 * i + 1)), 1);
    };
#endif
#if defined(__AVX512F__)
    return _mm512_insertf32x8(_mm512_castps256_ps512(eight(0)), eight(1), 1);
#elif defined(__AVX2__)
    return eight(0);
#else
    return load<Floats>(place(0));
#endif
}

// Consecutive weights of a shared array of floats. kCount: a length that is known when compiling, or 0.
template <class Read, int kBytes>
struct FloatArray {
    static int64_t bytes(int64_t count) { return count * kBytes; }
    static const uint8_t* place(const uint8_t* data, int64_t address) { return data + address * kBytes; }

    // Whether `at` takes blocks of so many weights.
    template <int kLength>
    static constexpr bool kTakes = kLength >= kLanes || (kBytes == 4 && kLength >= 4);

    // kLanes numbers from number d of a vector on, whose blocks of kLength weights begin at `starts`.
    template <int kLength>
    POCKETREC_INLINE static Floats at(const uint8_t* data, const int64_t* starts, int64_t d) {
        const int64_t* start = starts + d / kLength;
        if constexpr (kLength >= kLanes) return Read(place(data, *start), kLength).at(d % kLength);
        return joined<kLength>([=](int64_t i) POCKETREC_LAMBDA {
            return reinterpret_cast<const float*>(place(data, start[i]));
        });
    }

    // A whole vector of kCount numbers, with its signs unless they are NULL.
    template <int kCount, bool stream>
    POCKETREC_INLINE static void copy_vector(const uint8_t* data, int64_t address, const uint64_t* signs, float* out) {
        if (!signs) return read_row<Read, stream>(place(data, address), kCount, out);
        const Read read(place(data, address), kCount);
        for (int64_t d = 0; d < kCount; d += kLanes)
            store<stream>(out + d, bits_of<Floats>(bits_of<Words>(read.at(d)) ^ flips_at(signs, d)));
    }

    template <int kCount>
    static void copy(const uint8_t* data, int64_t address, int64_t length, float* out) {
        const int64_t count = kCount ? kCount : length;
        read_row<Read, false>(place(data, address), count, out);
    }
};

// The same of an array of codes: rows of 64, each with its scale and bias; `at` of kStep 2 takes even places only.
template <class Read, int kBytes, int kStep>
struct CodeArray {
    static int64_t bytes(int64_t count) { return (count + 63) / 64 * kBytes; }
    static const uint8_t* place(const uint8_t* data, int64_t address) { return data + address / 64 * kBytes; }

    template <int kLength>
    static constexpr bool kTakes = false;

    template <int kCount>
    static void copy(const uint8_t* data, int64_t address, int64_t length, float* out) {
        for (int64_t count = kCount ? kCount : length; count > 0;) {
            const int64_t first = address % 64, some = count < 64 - first ? count : 64 - first;
            const Read read(place(data, address), 64);
            int64_t d = 0;
            for (; d < some && (first + d) % kStep; ++d) out[d] = read.one(first + d);
            for (; d + kLanes <= some; d += kLanes) store<false>(out + d, read.at(first + d));
            for (; d < some; ++d) out[d] = read.one(first + d);
            address += some, count -= some, out += some;
        }
    }

    template <int kCount, bool stream>
    static void copy_vector(const uint8_t* data, int64_t address, const uint64_t* signs, float* out) {
        copy<kCount>(data, address, kCount, out);
        if (signs) apply_signs(signs, kCount, out);
    }
};

// One vector of blocks; kLength: weights per block, or 0 for lengths that have no loop of their own.
template <class Array, int kLength>
inline void copy_parts(const Blocks& blocks, const int64_t* start, const uint64_t* signs, float* out) {
    const int64_t dim = blocks.dim, length = kLength ? kLength : blocks.length;
    const int64_t last = blocks.start + blocks.size - length;  // the last address whose block does not run over the end
    for (int64_t d = 0; d < dim; ++start, d += length) {
        if (d + length <= dim && *start <= last) {
            Array::template copy<kLength>(blocks.data, *start, length, out + d);
            continue;
        }
        const int64_t needed = dim - d < length ? dim - d : length, before_end = last + length - *start;
        const int64_t first = needed < before_end ? needed : before_end;
        Array::template copy<0>(blocks.data, *start, first, out + d);
        Array::template copy<0>(blocks.data, blocks.start, needed - first, out + d + first);
    }
    if (signs) apply_signs(signs, dim, out);
}

template <class Array, int kLength, int kLevel = 3>
POCKETREC_INLINE void prefetch_block(const Blocks& blocks, int64_t start) {
    const int64_t length = kLength ? kLength : blocks.length;
    prefetch_to<kLevel>(Array::place(blocks.data, start), Array::bytes(length), false);
}

// Blocks of many values are asked for ahead, so that so many lines are under way; the first ones of a call, too.
template <class Array, int kLength, class Copy>
POCKETREC_INLINE void for_each_value(const Blocks& blocks, const int64_t* starts, int64_t count, Copy copy) {
    constexpr int64_t kBlocks = 64;
    const int64_t parts = blocks.parts, words = (blocks.dim + 63) / 64, all = count * parts;
    const int64_t far = parts < kBlocks ? kBlocks / parts * parts : parts;
    for (int64_t p = 0; p < far && p < all; ++p) prefetch_block<Array, kLength>(blocks, starts[p]);
    for (int64_t i = 0; i < all; i += parts) {
        for (int64_t p = i + far; p < i + far + parts && p < all; ++p) prefetch_block<Array, kLength>(blocks, starts[p]);
        copy(starts + i, blocks.signs ? blocks.signs + i / parts * words : nullptr);
    }
}

template <class Array, int kLength>
void copy_blocks(const Blocks& blocks, const int64_t* starts, int64_t count, float* out, int64_t out_stride) {
    for_each_value<Array, kLength>(blocks, starts, count, [&](const int64_t* start, const uint64_t* signs) POCKETREC_LAMBDA {
        if (*start < 0)
            fill_zero<false>(out, blocks.dim);
        else
            copy_parts<Array, kLength>(blocks, start, signs, out);
        out += out_stride;
    });
}

// The same for whole blocks that the array takes as vectors.
template <class Array, int kLength, bool stream>
void join_blocks(const Blocks& blocks, const int64_t* starts, int64_t count, float* out, int64_t out_stride) {
    const int64_t dim = blocks.dim, parts = blocks.parts, last = blocks.start + blocks.size - kLength;
    for_each_value<Array, kLength>(blocks, starts, count, [&](const int64_t* start, const uint64_t* signs) POCKETREC_LAMBDA {
        int64_t room = 0;  // negative where a block runs over the end
        for (int64_t p = 0; p < parts; ++p) room |= last - start[p];
        if (*start < 0)
            fill_zero<stream>(out, dim);
        else if (room < 0)
            copy_parts<Array, kLength>(blocks, start, signs, out);
        else if (signs)
            for (int64_t d = 0; d < dim; d += kLanes) {
                const Words numbers = bits_of<Words>(Array::template at<kLength>(blocks.data, start, d));
                store<stream>(out + d, bits_of<Floats>(numbers ^ flips_at(signs, d)));
            }
        else
            for (int64_t d = 0; d < dim; d += kLanes)
                store<stream>(out + d, Array::template at<kLength>(blocks.data, start, d));
        out += out_stride;
    });
    if (stream) finish_stream();
}

// The same where one block is a whole vector of kLength numbers. Only arrays of floats write past the caches.
template <class Array, int kLength, bool stream>
void copy_vectors(const Blocks& blocks, const int64_t* starts, int64_t count, float* out, int64_t out_stride) {
    constexpr int64_t kWords = (kLength + 63) / 64;
    const bool in_steps = Array::bytes(kLength) > 64;  // as in read_rows
    const int64_t near = in_steps ? kNearRows : 2 * kNearRows, far = in_steps ? kNearRows + kFarRows : near;
    const int64_t last = blocks.start + blocks.size - kLength;
    for (int64_t i = 0; i < near && i < count; ++i) prefetch_block<Array, kLength>(blocks, starts[i]);
    for (int64_t i = near; i < far && i < count; ++i) prefetch_block<Array, kLength, 2>(blocks, starts[i]);
    for (int64_t i = 0; i < count; ++i, out += out_stride) {
        if (in_steps && i + far < count) prefetch_block<Array, kLength, 2>(blocks, starts[i + far]);
        if (i + near < count) prefetch_block<Array, kLength>(blocks, starts[i + near]);
        const uint64_t* signs = blocks.signs ? blocks.signs + i * kWords : nullptr;
        if (starts[i] < 0)
            fill_zero<stream>(out, kLength);
        else if (starts[i] <= last)
            Array::template copy_vector<kLength, stream>(blocks.data, starts[i], signs, out);
        else
            copy_parts<Array, kLength>(blocks, starts + i, signs, out);
    }
    if (stream) finish_stream();
}

// Blocks of kLength: those that are a whole vector, those of which vectors of registers are made, others.
template <class Array, int kLength>
void choose_length(const Blocks& blocks, const int64_t* starts, int64_t count, float* out, int64_t out_stride, bool stream) {
    if constexpr (kLength >= 16) {
        if (blocks.dim == kLength && stream) return copy_vectors<Array, kLength, true>(blocks, starts, count, out, out_stride);
        if (blocks.dim == kLength) return copy_vectors<Array, kLength, false>(blocks, starts, count, out, out_stride);
    }
    if constexpr (Array::template kTakes<kLength>) {
        constexpr int64_t kUnit = kLength < kLanes ? kLanes : kLength;
        if (blocks.dim % kUnit == 0)
            return stream ? join_blocks<Array, kLength, true>(blocks, starts, count, out, out_stride)
                          : join_blocks<Array, kLength, false>(blocks, starts, count, out, out_stride);
    }
    copy_blocks<Array, kLength>(blocks, starts, count, out, out_stride);
}

template <class Array>
void choose_blocks(const Blocks& blocks, const int64_t* starts, int64_t count, float* out, int64_t out_stride, bool stream) {
    const auto run = [&](auto length) POCKETREC_LAMBDA {
        choose_length<Array, length>(blocks, starts, count, out, out_stride, stream);
    };
    switch (blocks.length) {
        case 1: return run(Constant<1>{});
        case 2: return run(Constant<2>{});
        case 4: return run(Constant<4>{});
        case 8: return run(Constant<8>{});
        case 16: return run(Constant<16>{});
        case 32: return run(Constant<32>{});
        case 64: return run(Constant<64>{});
        case 128: return run(Constant<128>{});
        default: return run(Constant<0>{});
    }
}

void blocks(const Blocks& blocks, const int64_t* starts, int64_t count, float* out, int64_t out_stride, bool stream) {
    switch (blocks.storage) {
        case 0: return choose_blocks<FloatArray<ReadFloat32, 4>>(blocks, starts, count, out, out_stride, stream);
        case 1: return choose_blocks<FloatArray<ReadFloat16, 2>>(blocks, starts, count, out, out_stride, stream);
        case 2: return choose_blocks<FloatArray<ReadBfloat16, 2>>(blocks, starts, count, out, out_stride, stream);
        case 4: return choose_blocks<CodeArray<ReadInt4, 36, 2>>(blocks, starts, count, out, out_stride, stream);
        default: return choose_blocks<CodeArray<ReadInt8, 72, 1>>(blocks, starts, count, out, out_stride, stream);
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
