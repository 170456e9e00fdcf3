// pr_sketch_insert: scores of keys into a HotSketch; src/pocketrec/native/sketch.py is the definition.
#include <algorithm>
#include <cfloat>
#include <cstring>
#include <vector>

#include "failure.hpp"
#include "mix.hpp"
#include "pocketrec.h"
#include "slots.hpp"

namespace pocketrec {
namespace {

constexpr uint32_t kSign = 0x80000000u;
constexpr int64_t kFar = 16;  // keys whose buckets are on their way

struct Slot {
    int32_t tag;  // 0: free
    float score;
    int32_t place;  // from 0: a row; below: an error
};

static_assert(sizeof(Slot) == 12, "three words of a sketch");

// The place of a key that owns no row.
int32_t error_word(float error) {
    uint32_t bits;
    std::memcpy(&bits, &error, sizeof bits);
    return static_cast<int32_t>(bits | kSign);
}

float grown(float score, float by) {
    return std::min(score + by, FLT_MAX);
}

// What became of a distinct key.
struct Insertion {
    int64_t slot;
    int32_t released;
    bool hit;
};

// Inserts a key into its bucket of `slots` slots; slot is counted within the bucket, -1 where the key is left out.
Insertion insert(Slot* bucket, int64_t slots, int32_t tag, float score, bool evict_hot) {
    int64_t free = -1, least = -1;
    for (int64_t i = 0; i < slots; ++i) {
        Slot& slot = bucket[i];
        if (slot.tag == tag) {
            slot.score = grown(slot.score, score);
            return {i, -1, true};
        }
        if (slot.tag == 0) {
            if (free < 0) free = i;
        } else if ((evict_hot || slot.place < 0) && (least < 0 || slot.score < bucket[least].score)) {
            least = i;
        }
    }
    if (!(score > 0)) return {-1, -1, false};
    if (free >= 0) {
        bucket[free] = {tag, score, error_word(0)};
        return {free, -1, false};
    }
    if (least < 0) return {-1, -1, false};
    Slot& victim = bucket[least];
    const int32_t released = std::max(victim.place, -1);
    victim = {tag, grown(victim.score, score), error_word(victim.score)};
    return {least, released, false};
}

void check(const pr_sketch& sketch, const float* scores, int64_t count) {
    if (sketch.buckets < 1 || sketch.slots < 1 || sketch.slots > PR_MOST_SLOTS)
        fail(PR_VALUE_ERROR, "sketch must be [1 or more, 1 to %d, 3], got [%lld, %lld, 3].", PR_MOST_SLOTS,
             say(sketch.buckets), say(sketch.slots));
    for (int64_t i = 0; i < count; ++i)
        if (!(scores[i] >= 0 && scores[i] <= FLT_MAX))
            fail(PR_VALUE_ERROR, "scores must be finite and not negative; score %lld is %g.", say(i),
                 static_cast<double>(scores[i]));
}

void sketch_insert(const pr_sketch& sketch, const int64_t* keys, const float* scores, int64_t count, bool evict_hot,
                   int64_t* slots, uint8_t* hits, int32_t* released) {
    check(sketch, scores, count);
    std::vector<int64_t> distinct(static_cast<size_t>(count)), first(static_cast<size_t>(count));
    std::vector<double> sums;
    std::vector<int32_t> places(static_cast<size_t>(count));
    sums.reserve(static_cast<size_t>(count));
    Slots known(count, distinct.data());
    for (int64_t i = 0; i < count; ++i) {
        if (i + kFar < count) known.prefetch(keys[i + kFar]);
        const int32_t place = known.place(keys[i]);
        places[static_cast<size_t>(i)] = place;
        if (static_cast<size_t>(place) == sums.size()) {
            first[sums.size()] = i;
            sums.push_back(0);
        }
        sums[static_cast<size_t>(place)] += static_cast<double>(scores[i]);
    }

    Slot* all = reinterpret_cast<Slot*>(sketch.words);
    const size_t keys_count = sums.size();
    std::vector<Insertion> done(keys_count);
    // distinct[i] becomes the bucket of key i as soon as it is fetched.
    std::vector<int32_t> tags(keys_count);
    const auto fetch = [&](size_t i) {
        const uint64_t key = static_cast<uint64_t>(distinct[i]);
        tags[i] = tag(key);
        distinct[i] = bucket(key, sketch.buckets) * sketch.slots;
        __builtin_prefetch(all + distinct[i], 1);
        __builtin_prefetch(reinterpret_cast<const char*>(all + distinct[i] + sketch.slots) - 1, 1);
    };
    for (size_t i = 0; i < std::min(keys_count, static_cast<size_t>(kFar)); ++i) fetch(i);
    std::fill(released, released + count, -1);
    for (size_t i = 0; i < keys_count; ++i) {
        if (i + kFar < keys_count) fetch(i + kFar);
        Insertion made = insert(all + distinct[i], sketch.slots, tags[i],
                                static_cast<float>(std::min(sums[i], static_cast<double>(FLT_MAX))), evict_hot);
        if (made.slot >= 0) made.slot += distinct[i];
        released[first[i]] = made.released;
        done[i] = made;
    }
    // A later key may have taken the slot of an earlier one.
    for (size_t i = 0; i < keys_count; ++i)
        if (done[i].slot >= 0 && all[done[i].slot].tag != tags[i]) done[i].slot = -1;
    for (int64_t i = 0; i < count; ++i) {
        const Insertion& made = done[static_cast<size_t>(places[static_cast<size_t>(i)])];
        slots[i] = made.slot;
        hits[i] = made.hit;
    }
}

}  // namespace
}  // namespace pocketrec

int pr_sketch_insert(const pr_sketch* sketch, const int64_t* keys, const float* scores, int64_t count, int64_t evict_hot,
                     int64_t* slots, uint8_t* hits, int32_t* released, pr_error* error) {
    return pocketrec::guarded(error, [&] {
        pocketrec::sketch_insert(*sketch, keys, scores, count, evict_hot != 0, slots, hits, released);
    });
}
