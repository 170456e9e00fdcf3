// How ids become addresses, one field and many ids at a time. Definition: src/pocketrec/native/addresses.py.
//
// Compiled once, for every machine: nothing here gains from wide registers, and inline functions of files that are
// compiled for several levels must not meet at link time.
#pragma once

#include <cstdint>
#include <vector>

#include "divider.hpp"
#include "pocketrec.h"
#include "program.hpp"

namespace pocketrec {

// A field with its divisors prepared; made once per call.
struct Addressing {
    explicit Addressing(const Field& field);

    Field field;
    Divider by_size, by_n;  // quotient_remainder and digits; by_n of paged, too

    // Where an id stands in the permutation of its table; ids that it does not have are id 0.
    int64_t permuted(int64_t id) const { return by_n.remainder((id < field.n ? id : 0) * field.p + field.q); }
};

// The fields of a checked program.
std::vector<Addressing> prepare(const std::vector<Field>& fields);

// Some ids of one field: ids[0], ids[stride], ...
struct Run {
    const int64_t* ids;
    int64_t stride;
    int64_t count;
};

// Writes the `parts` addresses of id i to out[i * out_stride]; -1 for padding, null addresses and unused parts.
// Returns how many ids were done: less than run.count when the next one is outside what
// the field takes, and not padding.
int64_t find_addresses(const Addressing& field, const pr_request& request, Run run, int64_t* out, int64_t out_stride);

// Whether weights are read with signs.
inline bool has_signs(const Field& field) {
    return field.is_block() && field.kind != PR_LINEAR_BLOCK && field.kind != PR_KEYED_CODES &&
           field.kind != PR_PACKED_CODES && (field.b & PR_SIGN);
}

// Where the blocks of some ids go: starts of id i at addresses[i * stride], and its signs, (dim + 63) / 64 words, at
// signs[i * signs_stride]: bit d % 64 of word d / 64 says that number d is negated.
struct Targets {
    int64_t* addresses;
    int64_t stride;
    uint64_t* signs;
    int64_t signs_stride;
    int64_t dim;
};

// find_addresses for fields of blocks, with their signs where the field has_signs. Signs of padding are left alone.
int64_t find_blocks(const Addressing& field, const pr_request& request, Run run, Targets out);

// Throws PR_ID_ERROR for the first id in the order of the output that its field does not take.
[[noreturn]] void refuse_first_outside(const pr_request& request, const std::vector<Field>& fields);

}  // namespace pocketrec
