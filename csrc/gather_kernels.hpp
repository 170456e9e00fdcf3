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
    const int64_t lines = bytes < 1 ? 1 : (bytes + 63) / 64;  // of a block behind the end of a vector there is nothing
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

template <bool stream>
POCKETREC_INLINE void fill_null(int64_t place, float* out, int64_t dim) {
    if (place != pocketrec::kElsewhere) fill_zero<stream>(out, dim);
}

template <class Read, bool stream>
POCKETREC_INLINE void read_row(const uint8_t* row, int64_t dim, float* out) {
    const Read read(row, dim);
    const int64_t whole = dim / kLanes * kLanes;
    for (int64_t d = 0; d < whole; d += kLanes) store<stream>(out + d, read.at(d));
    for (int64_t d = whole; d < dim; ++d) out[d] = read.one(d);
}

template <class Read, bool stream>
POCKETREC_INLINE void read_multiplied(const uint8_t* row, float factor, int64_t dim, float* out) {
    const Read read(row, dim);
    const int64_t whole = dim / kLanes * kLanes;
    for (int64_t d = 0; d < whole; d += kLanes) store<stream>(out + d, read.at(d) * factor);
    for (int64_t d = whole; d < dim; ++d) out[d] = read.one(d) * factor;
}

// kDim 0 stands for any; the others let the compiler unroll.
template <class Read, int kDim, bool stream, bool multiplied>
int64_t read_rows(Format format, Memory memory, const int64_t* places, int64_t count, float* out, const float* factors) {
    const int64_t dim = kDim ? kDim : format.dim, bytes = pocketrec::row_bytes(Format{format.storage, dim});
    // Rows of several lines come in two steps, first into the second cache, which takes more requests at a time.
    const bool in_steps = bytes > 64;
    const int64_t near = in_steps ? kNearRows : lookahead(bytes), far = in_steps ? kNearRows + kFarRows : near;
    const bool whole_lines = has_whole_lines(memory, bytes);
    const auto row = [&](int64_t i) POCKETREC_LAMBDA { return memory.base + places[i] * memory.scale; };
    const auto read = [&](int64_t i) POCKETREC_LAMBDA {
        const int64_t place = places[i];
        if (static_cast<uint64_t>(place) < static_cast<uint64_t>(memory.end)) {
            if constexpr (multiplied)
                read_multiplied<Read, stream>(row(i), factors[i], dim, out + i * dim);
            else
                read_row<Read, stream>(row(i), dim, out + i * dim);
        } else if (place < 0) {
            fill_null<stream>(place, out + i * dim, dim);
        } else {
            return false;
        }
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

// A function of its own for each: in one of all these loops the compiler would unroll none.
template <class Read, class Combine, int kDim, bool stream>
__attribute__((noinline)) int64_t combine_rows(Format format, Memory memory, const int64_t* places, int64_t count, int64_t parts, float* out) {
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
        if (places[i] != pocketrec::kElsewhere) combine_all<Read, Combine, stream>(memory, places + i, parts, dim, out);
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
        case 9: POCKETREC_WIDTHS(ReadInt16)
        default: POCKETREC_WIDTHS(ReadInt8)
    }
#undef POCKETREC_WIDTHS
}

template <class Read, int kDim>
struct Rows {
    static int64_t run(Format format, Memory memory, const int64_t* places, int64_t count, float* out, bool stream) {
        return stream ? read_rows<Read, kDim, true, false>(format, memory, places, count, out, nullptr)
                      : read_rows<Read, kDim, false, false>(format, memory, places, count, out, nullptr);
    }
};

// One loop for all narrow widths: less code for what is asked rarely.
template <class Read, int kDim>
struct MultipliedRows {
    static constexpr int kOwn = kDim >= 64 ? kDim : 0;

    static int64_t run(Format format, Memory memory, const int64_t* places, int64_t count, float* out, bool stream,
                       const float* factors) {
        return stream ? read_rows<Read, kOwn, true, true>(format, memory, places, count, out, factors)
                      : read_rows<Read, kOwn, false, true>(format, memory, places, count, out, factors);
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

// Rows of one number: a row at a time they would take three times as long.
int64_t read_numbers(Memory memory, const int64_t* places, int64_t count, float* out) {
    for (int64_t i = 0; i < count; ++i) {
        const int64_t place = places[i];
        if (static_cast<uint64_t>(place) < static_cast<uint64_t>(memory.end))
            __builtin_memcpy(out + i, memory.base + place * memory.scale, sizeof(float));
        else if (place >= 0)
            return i;
        else if (place != pocketrec::kElsewhere)
            out[i] = 0.0f;
    }
    return count;
}

int64_t rows(Format format, Memory memory, const int64_t* places, int64_t count, float* out, bool stream,
             const float* factors) {
    if (format.storage == 0 && format.dim == 1 && !factors) return read_numbers(memory, places, count, out);
    if (factors) return choose<MultipliedRows>(format, memory, places, count, out, stream, factors);
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

#include "block_kernels.hpp"

void add_scaled(const float* vector, float factor, int64_t dim, float* sum) {
    const int64_t whole = dim / kLanes * kLanes;
    for (int64_t d = 0; d < whole; d += kLanes)
        store<false>(sum + d, load<Floats>(sum + d) + load<Floats>(vector + d) * factor);
    for (int64_t d = whole; d < dim; ++d) sum[d] += vector[d] * factor;
}

#include "add_kernels.hpp"

}  // namespace
