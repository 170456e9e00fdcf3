// The distinct keys of a call and the sums of their scores: what a sketch and a sifter are told one by one.
#pragma once

#include <cfloat>
#include <cstdint>
#include <memory>

#include "failure.hpp"
#include "slots.hpp"

namespace pocketrec {

// Of one key.
struct Scored {
    double sum;
    int64_t first;  // value

    float score() const { return static_cast<float>(sum < FLT_MAX ? sum : FLT_MAX); }
};

inline void check_scores(const float* scores, int64_t count) {
    for (int64_t i = 0; i < count; ++i)
        if (!(scores[i] >= 0 && scores[i] <= FLT_MAX))
            fail(PR_VALUE_ERROR, "scores must be finite and not negative; score %lld is %g.", say(i),
                 static_cast<double>(scores[i]));
}

// Writes the distinct keys in order of first occurrence, and what is known of each; returns how many there are.
inline int64_t distinct_keys(const int64_t* keys, const float* scores, int64_t count, int64_t* distinct, Scored* known) {
    constexpr int64_t kFar = 16;
    Slots places(count, distinct);
    for (int64_t i = 0; i < count; ++i) {
        if (i + kFar < count) places.prefetch(keys[i + kFar]);
        const int32_t before = places.count(), place = places.place(keys[i]);
        Scored& own = known[place];
        const double sum = place == before ? 0 : own.sum;
        own.sum = sum + static_cast<double>(scores[i]);
        if (place == before) own.first = i;
    }
    return places.count();
}

// Not a vector: what is written before it is read need not be zero.
template <class T>
std::unique_ptr<T[]> room(int64_t count) {
    return std::unique_ptr<T[]>(new T[static_cast<size_t>(count)]);
}

}  // namespace pocketrec
