// pr_sketch_insert: scores of keys into a HotSketch; src/pocketrec/native/sketch.py is the definition.
#include <algorithm>
#include <cfloat>
#include <cmath>

#include "distinct_keys.hpp"
#include "mix.hpp"
#include "sketch.hpp"

namespace pocketrec {
namespace {

constexpr int64_t kFar = 16;  // keys whose buckets are on their way

float grown(float score, float by) {
    return std::min(score + by, FLT_MAX);
}

// What became of a distinct key.
struct Insertion {
    int64_t slot;
    int32_t released;
    bool hit, took;
};

// Inserts a key into its bucket of `slots` slots; slot is counted within the bucket, -1 where the key is left out.
Insertion insert(Slot* bucket, int64_t slots, int32_t tag, float score, bool evict_hot) {
    int64_t free = -1, least = -1;
    for (int64_t i = 0; i < slots; ++i) {
        Slot& slot = bucket[i];
        if (slot.tag == tag) {
            slot.score = std::copysign(grown(slot.size(), score), slot.score);
            return {i, -1, true, false};
        }
        if (slot.tag == 0) {
            if (free < 0) free = i;
        } else if ((evict_hot || slot.place < 0) && (least < 0 || slot.size() < bucket[least].size())) {
            least = i;
        }
    }
    if (!(score > 0)) return {-1, -1, false, false};
    if (free >= 0) {
        bucket[free] = {tag, score, error_word(0)};
        return {free, -1, false, false};
    }
    if (least < 0) return {-1, -1, false, false};
    Slot& victim = bucket[least];
    const int32_t released = std::max(victim.place, -1);
    const float before = victim.size();
    victim = {tag, grown(before, score), error_word(before)};
    return {least, released, false, true};
}

int64_t sketch_insert(const pr_sketch& sketch, const int64_t* keys, const float* scores, int64_t count, bool evict_hot,
                      const pr_inserted& out) {
    Slot* const all = Sketch(sketch).first;
    check_scores(scores, count);
    const auto known = room<Scored>(count);
    int64_t* distinct = out.slots;  // its keys, until each has a slot
    const int64_t total = distinct_keys(keys, scores, count, distinct, known.get());

    const auto tags = room<int32_t>(total);
    // distinct[i] becomes the first slot of key i's bucket as soon as that is fetched.
    const auto fetch = [&](int64_t i) {
        const uint64_t key = static_cast<uint64_t>(distinct[i]);
        tags[static_cast<size_t>(i)] = tag(key);
        distinct[i] = bucket(key, sketch.buckets) * sketch.slots;
        __builtin_prefetch(all + distinct[i], 1);
        __builtin_prefetch(reinterpret_cast<const char*>(all + distinct[i] + sketch.slots) - 1, 1);
    };
    for (int64_t i = 0; i < std::min(total, kFar); ++i) fetch(i);
    bool taken = false;
    for (int64_t i = 0; i < total; ++i) {
        if (i + kFar < total) fetch(i + kFar);
        const Scored& own = known[static_cast<size_t>(i)];
        const int64_t home = distinct[i];
        const Insertion made = insert(all + home, sketch.slots, tags[static_cast<size_t>(i)], own.score(), evict_hot);
        out.values[i] = own.first;
        out.slots[i] = made.slot < 0 ? -1 : home + made.slot;
        out.hits[i] = made.hit;
        out.released[i] = made.released;
        taken |= made.took;
    }
    // A later key may have taken the slot of an earlier one.
    for (int64_t i = 0; taken && i < total; ++i)
        if (out.slots[i] >= 0 && all[out.slots[i]].tag != tags[static_cast<size_t>(i)]) out.slots[i] = -1;
    return total;
}

}  // namespace
}  // namespace pocketrec

int pr_sketch_insert(const pr_sketch* sketch, const int64_t* keys, const float* scores, int64_t count, int64_t evict_hot,
                     const pr_inserted* out, int64_t* distinct, pr_error* error) {
    return pocketrec::guarded(error, [&] {
        *distinct = pocketrec::sketch_insert(*sketch, keys, scores, count, evict_hot != 0, *out);
    });
}
