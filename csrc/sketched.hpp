// What fields of kind PR_SKETCHED read of a sketch. Definition: src/pocketrec/native/addresses.py.
#pragma once

#include <cstdint>

#include "program.hpp"

namespace pocketrec {

// Bit i of it: whether tag i of those three numbers apart is this one. Which one it is nobody can foretell, so all are
// compared: a branch that is guessed wrong takes longer.
template <class Map>
uint32_t matches(const Map* tags, int64_t count, int32_t tag) {
    uint32_t found = 0;
    for (int64_t i = 0; i < count; ++i) found |= static_cast<uint32_t>(tags[3 * i] == tag) << i;
    return found;
}

// The row that ids of one tag share, or the null address where the field has no such rows.
inline int64_t shared_row(const Field& field, int32_t tag) {
    if (field.u <= 0) return -1;
    return field.q + static_cast<int64_t>(static_cast<uint64_t>(static_cast<uint32_t>(tag)) *
                                          static_cast<uint64_t>(field.u) >> 32);
}

// The address of an id whose bucket begins at `slots`.
template <class Map>
int64_t sketched_address(const Field& field, const Map* slots, int32_t tag) {
    constexpr int64_t kUsualSlots = 4;  // of a bucket, for which there is a loop of known length
    const uint32_t found = field.a == kUsualSlots ? matches(slots, kUsualSlots, tag) : matches(slots, field.a, tag);
    if (!found) return -1;
    const Map* slot = slots + 3 * __builtin_ctz(found);
    return slot[1] < 0 && slot[2] < 0 ? shared_row(field, tag) : target_address(field, slot[2]);
}

// Fields side by side that look into the same buckets of one map, and the part of each one's seed in mix (mix.hpp).
struct SketchRules {
    const Field* fields;
    int64_t count;
    const uint64_t *added, *flipped;
};

// The addresses of `count` batch rows, ids[i * columns + f] of field f, to out[i * rules.count + f]. Returns how many
// batch rows were done: less than count when the next one has a refused id.
int64_t find_in_sketch(const SketchRules& rules, const pr_request& request, const int64_t* ids, int64_t count,
                       int64_t* out);

}  // namespace pocketrec
