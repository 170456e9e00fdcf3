// A program row by the names of its columns, and how an id becomes addresses under it.
//
// Definition: src/pocketrec/native/addresses.py. Fields that passed read_program divide by nothing that is zero, do not
// overflow, and read maps inside their bounds only; an address may lie beyond the regions, which whoever reads it
// finds.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "mix.hpp"
#include "pocketrec.h"

namespace pocketrec {

struct Field {
    int64_t column, kind, start, size, seed, a, b, n, padding, p, q, global;
    int64_t last;  // the last id that is taken: read_program makes it of the limit that a program has here
    int64_t r, s, t, u;

    bool is_padding(int64_t id) const { return id == padding && padding != -1; }
    // Whether the field takes this id, which is not its padding: it is neither negative nor beyond the last.
    bool takes(int64_t id) const { return static_cast<uint64_t>(id) <= static_cast<uint64_t>(last); }
    bool is_block() const {
        return kind == PR_BLOCK || kind == PR_LINEAR_BLOCK || kind == PR_SIGNATURE || kind == PR_SETS ||
               kind == PR_KEYED_CODES || kind == PR_PACKED_CODES;
    }
    // Of fields of hashed blocks: whether the id has weights of its own.
    bool owns(int64_t id) const { return id >= 1 && id <= n; }
    // Of keyed codes: bits of a key that are checked.
    int64_t key_bits() const { return b < 0 ? 0 : b; }
    // Of keyed codes: bits that say which of the n own weights an id has.
    int64_t own_bits() const { return n > 2 ? 64 - __builtin_clzll(static_cast<uint64_t>(n - 1)) : 1; }
    // Of chains: the factors of dim and of the ids, by core; u of them count.
    std::array<int64_t, 4> dim_factors() const { return {a, r, s, t}; }
    std::array<int64_t, 4> row_factors() const { return {b, p, q, global}; }
    // Of chains: how many are added up, which share all cores but the first and the last one.
    int64_t outer_rank() const { return seed ? seed : 1; }
    // Of chains: rows of a slice of core k. The last core's slices are turned, so that all rows have n numbers.
    int64_t slice_rows(int64_t k) const {
        return dim_factors()[static_cast<size_t>(k)] * (k && k + 1 < u ? n : outer_rank());
    }
    // Of signatures: int64 words per id.
    int64_t words() const { return (s + 64 / t - 1) / (64 / t); }
};

static_assert(sizeof(Field) == PR_PROGRAM_COLUMNS * sizeof(int64_t), "a Field is one row of a program");

// The fields of a program. Throws PR_VALUE_ERROR naming the first bad field; the rules of program_check.py.
std::vector<Field> read_program(const pr_request& request);

// Refuses kinds that do not fit the way of combining, and blocks that do not cover dim. Throws PR_VALUE_ERROR.
void check_blocks(const std::vector<Field>& fields, const pr_request& request);

// The address that ids without a row of their own read, or the null address.
inline int64_t row_fold(const Field& field) {
    return field.a < 0 ? -1 : field.start + field.a - field.b;
}

inline int64_t linear_block_start(const Field& field, int64_t id, int64_t block) {
    constexpr int64_t kModulus = PR_LINEAR_MODULUS;
    // Reduced first, so that x * r3 stays below 2^62 for any id; the residue is the same.
    const int64_t x = (id % kModulus + field.global % kModulus) % kModulus;
    return (x * field.p + block * field.q + field.seed) % kModulus % (field.size - field.a + 1);
}

// The address of what a map says. Clamped, so that a wild entry is found beyond the regions instead of wrapping around.
inline int64_t target_address(const Field& field, int64_t target) {
    return target < 0 ? -1 : field.start + std::min(target, int64_t{1} << 62);
}

inline int64_t map_entry(const pr_request& request, int64_t place) {
    return request.map_bytes == 4 ? static_cast<const int32_t*>(request.maps)[place]
                                  : static_cast<const int64_t*>(request.maps)[place];
}

inline int64_t mapped_address(const Field& field, int64_t id, const pr_request& request) {
    const int64_t entry = id < field.size ? id : field.a;
    return entry < 0 ? -1 : target_address(field, map_entry(request, field.b + entry));
}

}  // namespace pocketrec
