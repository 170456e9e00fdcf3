// pr_sift: scores of keys into a sifter; src/pocketrec/native/sifter.py is the definition.
#include <algorithm>
#include <cstring>

#include "distinct_keys.hpp"
#include "failure.hpp"
#include "mix.hpp"
#include "pocketrec.h"

namespace pocketrec {
namespace {

constexpr int64_t kFar = 16;  // keys whose sets are on their way

struct Way {
    int32_t tag;  // 0: free
    float score;
};

static_assert(sizeof(Way) == 8, "two words of a sifter");

// Tells a set, whose latest key comes first, of a key; returns what is forwarded of it, 0 for nothing.
float tell(Way* set, int64_t ways, int32_t tag, float score, float least) {
    int64_t at = 0;
    while (at < ways - 1 && set[at].tag != tag) ++at;
    const float before = set[at].tag == tag ? set[at].score : 0;
    const float sum = std::min(before + score, FLT_MAX);
    const bool passed = set[at].tag == tag && before >= least, passes = sum >= least;
    std::memmove(set + 1, set, static_cast<size_t>(at) * sizeof(Way));
    set[0] = {tag, passes ? least : sum};
    return passed ? score : passes ? sum : 0;
}

void check(const pr_sifter& sifter, const float* scores, int64_t count) {
    if (sifter.sets < 1 || sifter.ways < 1 || sifter.ways > PR_MOST_SLOTS)
        fail(PR_VALUE_ERROR, "sifter must be [1 or more, 1 to %d, 2], got [%lld, %lld, 2].", PR_MOST_SLOTS,
             say(sifter.sets), say(sifter.ways));
    check_scores(scores, count);
}

int64_t sift(const pr_sifter& sifter, const int64_t* keys, const float* scores, int64_t count, float least,
             int64_t* values, float* forwarded) {
    check(sifter, scores, count);
    const auto known = room<Scored>(count);
    const auto distinct = room<int64_t>(count);
    const int64_t total = distinct_keys(keys, scores, count, distinct.get(), known.get());
    Way* all = reinterpret_cast<Way*>(sifter.words);
    const auto set_of = [&](int64_t i) {
        return all + bucket(static_cast<uint64_t>(distinct[static_cast<size_t>(i)]), sifter.sets) * sifter.ways;
    };
    int64_t kept = 0;
    for (int64_t i = 0; i < total; ++i) {
        if (i + kFar < total) __builtin_prefetch(set_of(i + kFar), 1);
        const Scored& own = known[static_cast<size_t>(i)];
        if (!(own.sum > 0)) continue;
        const int32_t own_tag = tag(static_cast<uint64_t>(distinct[static_cast<size_t>(i)]));
        values[kept] = own.first;
        forwarded[kept] = tell(set_of(i), sifter.ways, own_tag, own.score(), least);
        kept += forwarded[kept] > 0;
    }
    return kept;
}

}  // namespace
}  // namespace pocketrec

int pr_sift(const pr_sifter* sifter, const int64_t* keys, const float* scores, int64_t count, float least, int64_t* values,
            float* forwarded, int64_t* kept, pr_error* error) {
    return pocketrec::guarded(
        error, [&] { *kept = pocketrec::sift(*sifter, keys, scores, count, least, values, forwarded); });
}
