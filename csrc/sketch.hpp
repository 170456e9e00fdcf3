// The slots of a HotSketch; src/pocketrec/native/sketch.py is the definition.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "failure.hpp"
#include "pocketrec.h"

namespace pocketrec {

constexpr int32_t kNoError = INT32_MIN;  // the place of a key that owns no row and whose score is exact

struct Slot {
    int32_t tag;    // 0: free
    float score;    // negative: the key is medium; its size counts
    int32_t place;  // from 0: a row; below: an error

    float size() const { return std::fabs(score); }

    bool is_hot() const { return tag != 0 && place >= 0; }

    // By how much the score may be too large; 0 where the key owns a row.
    float error() const {
        const int32_t bits = place < 0 ? place & INT32_MAX : 0;
        float error;
        std::memcpy(&error, &bits, sizeof error);
        return error;
    }
};

static_assert(sizeof(Slot) == 12, "three words of a sketch");

// The place of a key that owns no row.
inline int32_t error_word(float error) {
    int32_t bits;
    std::memcpy(&bits, &error, sizeof bits);
    return bits | kNoError;
}

// All slots of a sketch, whose shape is checked.
struct Sketch {
    explicit Sketch(const pr_sketch& sketch)
        : first(reinterpret_cast<Slot*>(sketch.words)), count(sketch.buckets * sketch.slots) {
        if (sketch.buckets < 1 || sketch.slots < 1 || sketch.slots > PR_MOST_SLOTS)
            fail(PR_VALUE_ERROR, "sketch must be [1 or more, 1 to %d, 3], got [%lld, %lld, 3].", PR_MOST_SLOTS,
                 say(sketch.buckets), say(sketch.slots));
    }

    Slot* begin() const { return first; }
    Slot* end() const { return first + count; }

    Slot* first;
    int64_t count;
};

}  // namespace pocketrec
