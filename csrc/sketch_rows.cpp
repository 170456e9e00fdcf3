// Who of the keys of a sketch owns a row: decay, threshold, demotion, promotion. Definition: sketch_rows.py of
// src/pocketrec/native, and sketch.py for pr_sketch_decay.
#include <algorithm>
#include <cfloat>
#include <vector>

#include "distinct_keys.hpp"
#include "sketch.hpp"
#include "slots.hpp"

namespace pocketrec {
namespace {

constexpr uint32_t kSign = 0x80000000u;
constexpr int kShift = 17;  // sign, exponent and six bits of the rest tell scores apart: 256 KiB of counts
constexpr int64_t kFar = 16;  // slots that are on their way

void decay(const pr_sketch& sketch, float factor) {
    for (Slot& slot : Sketch(sketch)) {
        const int32_t place = error_word(std::min(slot.error() * factor, FLT_MAX));
        slot.place = slot.place < 0 ? place : slot.place;
        slot.score = std::clamp(slot.score * factor, -FLT_MAX, FLT_MAX);
    }
}

float judged(const Slot& slot, bool guaranteed) {
    return guaranteed ? slot.size() - slot.error() : slot.size();
}

// Words in the order of their floats, and back.
uint32_t ordered(float number) {
    uint32_t bits;
    std::memcpy(&bits, &number, sizeof bits);
    return bits & kSign ? ~bits : bits | kSign;
}

float number_of(uint32_t word) {
    const uint32_t bits = word & kSign ? word & ~kSign : ~word;
    float number;
    std::memcpy(&number, &bits, sizeof number);
    return number;
}

// Counts the scores by their upper bits: only those with the bits of the one that is looked for are then put in order.
float score_number(const pr_sketch& sketch, int64_t number, bool guaranteed) {
    const Sketch slots(sketch);
    if (number < 1) fail(PR_VALUE_ERROR, "scores are counted from 1, got %lld.", say(number));
    if (number > slots.count) return 0;
    const auto words = room<uint32_t>(slots.count);
    std::vector<int64_t> counts(size_t{1} << (32 - kShift));
    uint32_t* next = words.get();
    for (const Slot& slot : slots) {
        *next = ordered(judged(slot, guaranteed));
        ++counts[*next++ >> kShift];
    }
    uint32_t upper = static_cast<uint32_t>(counts.size());
    int64_t left = number;
    while (left > counts[--upper]) left -= counts[upper];
    uint32_t* const end = std::remove_if(words.get(), next, [=](uint32_t word) { return word >> kShift != upper; });
    std::nth_element(words.get(), end - left, end);
    return number_of(*(end - left));
}

int64_t demote_below(const pr_sketch& sketch, float least, int32_t* rows) {
    int64_t count = 0;
    for (Slot& slot : Sketch(sketch)) {
        if (!(slot.is_hot() && slot.size() < least)) continue;
        rows[count++] = slot.place;
        slot.place = kNoError;
    }
    return count;
}

int64_t due(const pr_sketch& sketch, const pr_candidates& of, int64_t* values) {
    const Sketch slots(sketch);
    int64_t kept = 0;
    for (int64_t i = 0; i < of.count; ++i) {
        if (i + kFar < of.count) __builtin_prefetch(slots.first + std::max(of.slots[i + kFar], int64_t{0}));
        if (of.slots[i] >= slots.count)
            fail(PR_VALUE_ERROR, "slots must lie below %lld; number %lld is %lld.", say(slots.count), say(i),
                 say(of.slots[i]));
        if (of.slots[i] < 0 || (of.hits && !of.hits[i])) continue;
        const Slot& slot = slots.first[of.slots[i]];
        const float score = judged(slot, of.guaranteed);
        values[kept] = i;
        kept += slot.place < 0 && score > 0 && score >= of.least;
    }
    // Keys of one tag share a slot: the first has it.
    const auto distinct = room<int64_t>(kept);
    Slots seen(kept, distinct.get());
    int64_t chosen = 0;
    for (int64_t k = 0; k < kept && chosen < of.most; ++k) {
        values[chosen] = values[k];
        chosen += seen.place(of.slots[values[k]]) == chosen;
    }
    return chosen;
}

}  // namespace
}  // namespace pocketrec

int pr_sketch_decay(const pr_sketch* sketch, float factor, pr_error* error) {
    return pocketrec::guarded(error, [&] { pocketrec::decay(*sketch, factor); });
}

int pr_sketch_score(const pr_sketch* sketch, int64_t number, int64_t guaranteed, float* score, pr_error* error) {
    return pocketrec::guarded(error, [&] { *score = pocketrec::score_number(*sketch, number, guaranteed != 0); });
}

int pr_sketch_demote(const pr_sketch* sketch, float least, int32_t* rows, int64_t* count, pr_error* error) {
    return pocketrec::guarded(error, [&] { *count = pocketrec::demote_below(*sketch, least, rows); });
}

int pr_sketch_due(const pr_sketch* sketch, const pr_candidates* of, int64_t* values, int64_t* count, pr_error* error) {
    return pocketrec::guarded(error, [&] { *count = pocketrec::due(*sketch, *of, values); });
}
