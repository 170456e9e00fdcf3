// Reading and adding vectors: what is compiled once per SIMD level (gather_kernels.hpp) and chosen at run time.
#pragma once

#include <cstdint>

namespace pocketrec {

// Rows of one storage.
struct Format {
    int64_t storage;  // a pr_storage
    int64_t dim;
};

// A place, or an address, of a vector that another look-up writes: it is left alone.
constexpr int64_t kElsewhere = -2;

// Where rows lie: the row at place p begins at base + p * scale; a negative place is the null row, which reads as zeros;
// places from `end` on are refused. So addresses of one region are places as they are.
struct Memory {
    const uint8_t* base;
    int64_t scale;
    int64_t end;
};

// Bytes of a row.
static inline int64_t row_bytes(Format format) {
    switch (format.storage) {
        case 0: return format.dim * 4;                   // PR_FLOAT32
        case 1: case 2: return format.dim * 2;           // PR_FLOAT16, PR_BFLOAT16
        case 4: return (format.dim + 1) / 2 + 4;         // PR_INT4: codes, float16 scale and bias
        case 9: return format.dim * 2 + 8;               // PR_INT16: codes, float32 scale and bias
        default: return format.dim + 8;                  // PR_INT8: the same
    }
}

// A shared array as one field draws blocks from it: `size` weights from `start`, at which a block that runs over the end
// goes on.
struct Blocks {
    const uint8_t* data;
    int64_t storage;
    int64_t start, size, length;
    int64_t parts, dim;
    const uint64_t* signs;  // NULL, or (dim + 63) / 64 words per value: bit d says that number d is read negated
};

// Vectors that are added up by place. Places count up from `begin` in order of first occurrence; those outside
// [begin, end) are passed over. Vector i of a call is number first + i of all; where that is the place's last one, the
// sum of squares of its sum is written.
struct Additions {
    const float* const* vectors;
    int64_t dim;
    int64_t parts;
    const int32_t* places;
    int32_t begin, end;
    int64_t first;
    const int32_t* last;  // by place
    float* sums;
    float* squares;  // by place
};

// Ids to hashed addresses: start + bucket * step, of hashes of the id (and the part, where by_part); ids below `exact`,
// which are given only with parts = 1, have addresses of their own that end at `start`.
struct HashRule {
    uint64_t seed, buckets, step;  // buckets and step below 2^32
    int64_t start, exact;
    int64_t parts;
    bool by_part;
    int64_t padding, last;
    int64_t length, dim;  // with signs: numbers per block, a divisor or a multiple of 64, and per vector
};

// Fields of one address per id that read columns side by side; an array has one number per field. The address of an id is
// own + id below `exact`, else other + bucket(mix(id), buckets), where buckets of 0 make nothing but `other`.
struct GridRules {
    int64_t fields;
    bool hashes;  // whether any field has buckets
    const int64_t *own, *exact, *other;
    const uint64_t *added, *flipped, *buckets;          // the seed's part in mix (mix.hpp); buckets below 2^32
    const int64_t *padding, *has_padding, *last;        // has_padding: 0 or -1
};

// Fields of two addresses per id that read columns side by side; an array has one number per field. With
// known = id < n ? id : fold and x = (known * p + q) mod n, which are below 2^31, an id has the addresses
// first + x / size and second + x % size. slope and offset are 2^64 * p / n and 2^64 * q / n, rounded up, for p and q
// below n; factor and shift divide by size (ShortDivider).
struct PairRules {
    int64_t fields;
    const int64_t *n, *fold, *first, *second;
    const uint64_t *slope, *offset, *size, *factor, *shift;
    const int64_t *padding, *has_padding, *last;  // has_padding: 0 or -1
};

// All floats are written or added in ascending order of values, each operation rounded by itself: all levels give the
// same bits.
constexpr int64_t kLeastRow = 8;  // the longs of the widest registers

struct Gather {
    // out[i] = the row at places[i], times factors[i] unless those are NULL. Returns how many were read: less than count
    // when the next place is refused.
    int64_t (*rows)(Format format, Memory memory, const int64_t* places, int64_t count, float* out, bool stream,
                    const float* factors);
    // out[i] = sum (or product) of the `parts` rows of value i; null rows are left out, a null first one is zeros.
    // Returns how many places were read.
    int64_t (*sums)(Format format, Memory memory, const int64_t* places, int64_t count, int64_t parts, float* out,
                   bool stream);
    int64_t (*products)(Format format, Memory memory, const int64_t* places, int64_t count, int64_t parts, float* out,
                       bool stream);
    // out[i * out_stride ...] = the vector whose blocks begin at starts[i * parts ...]; zeros where starts are -1.
    void (*blocks)(const Blocks& blocks, const int64_t* starts, int64_t count, float* out, int64_t out_stride,
                   bool stream);
    // sum += factor * vector
    void (*add_scaled)(const float* vector, float factor, int64_t dim, float* sum);
    // For i below count: sums[places[i]] = vectors[i / parts] when the place is *next, which then rises, else +=.
    void (*add_rows)(const Additions& additions, int64_t count, int32_t* next);
    // NULL, or: the `parts` addresses of id i to out[i * out_stride ...], its signs to signs[i * signs_stride ...] unless
    // that is NULL. Returns how many ids were done; the next ones, fewer than a register holds or with a padding or
    // refused id among them, are the caller's.
    int64_t (*hash_ids)(const HashRule& rule, const int64_t* ids, int64_t ids_stride, int64_t count, int64_t* out,
                        int64_t out_stride, uint64_t* signs, int64_t signs_stride);
    // NULL, or: the bucket of each id, of fewer than 2^32, and its tag (mix.hpp). Returns how many ids were done: the next
    // ones are fewer than a register holds.
    int64_t (*tag_ids)(uint64_t seed, uint64_t buckets, const int64_t* ids, int64_t ids_stride, int64_t count,
                       int64_t* own, int32_t* tags);
    // NULL, or: the same of one batch row, ids[f] of field f; there are at least kLeastRow fields.
    void (*tag_row)(const uint64_t* added, const uint64_t* flipped, uint64_t buckets, const int64_t* ids, int64_t fields,
                    int64_t* own, int32_t* tags);
    // NULL, or: the addresses of `count` batch rows, ids[i * ids_stride + f] of field f, to out[i * fields + f]. Returns
    // how many batch rows were done: less than count when the next one has a refused id, or 0 for very few fields.
    int64_t (*grid)(const GridRules& rules, const int64_t* ids, int64_t ids_stride, int64_t count, int64_t* out);
    // The same of two addresses: to out[(i * fields + f) * 2] and the place behind it.
    int64_t (*pairs)(const PairRules& rules, const int64_t* ids, int64_t ids_stride, int64_t count, int64_t* out);
    // out[i] = L2 norm of vector i, from the sum of squares in the order of add_rows.
    void (*norms)(const float* vectors, int64_t count, int64_t dim, float* out);
};

const Gather& gather();

extern const Gather kGatherGeneric, kGatherAvx2, kGatherAvx512;

}  // namespace pocketrec
