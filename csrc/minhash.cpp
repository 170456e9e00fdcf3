// pr_minhash: least hashes of sets; src/pocketrec/native/minhash.py is the definition.
#include <algorithm>

#include "failure.hpp"
#include "mix.hpp"
#include "pocketrec.h"
#include "threads.hpp"

namespace pocketrec {
namespace {

constexpr int64_t kHashesPerPart = 1 << 16;  // a thread is worth waking for about this many
constexpr int64_t kTogether = 8;             // least hashes that are kept in registers

// The least of hashes first .. first + kTogether - 1 over the members of one set.
void least(const int32_t* members, int64_t count, uint64_t seed, int64_t first, int64_t hashes, int64_t* out) {
    uint64_t found[kTogether];
    std::fill_n(found, kTogether, ~uint64_t{0});
    for (int64_t m = 0; m < count; ++m) {
        const uint64_t base = mix(static_cast<uint64_t>(members[m]), seed);
        for (int64_t j = 0; j < kTogether; ++j)
            found[j] = std::min(found[j], fin(base + added(static_cast<uint64_t>(first + j))) >> 1);
    }
    for (int64_t j = 0; j < std::min(kTogether, hashes - first); ++j)
        out[first + j] = count ? static_cast<int64_t>(found[j]) : -1;
}

void check(const int64_t* starts, int64_t sets, int64_t members) {
    for (int64_t i = 0; i < sets; ++i)
        if (starts[i] > starts[i + 1] || starts[i] < 0)
            fail(PR_VALUE_ERROR, "starts must rise from 0: set %lld begins at %lld and ends at %lld.", say(i),
                 say(starts[i]), say(starts[i + 1]));
    if (starts[sets] > members)
        fail(PR_VALUE_ERROR, "starts end at %lld, there are %lld members.", say(starts[sets]), say(members));
}

void minhash(const pr_sets& sets, int64_t hashes, int64_t seed, int64_t threads, int64_t* out) {
    check(sets.starts, sets.count, sets.members);
    const int64_t work = (sets.starts[sets.count] - sets.starts[0]) * hashes;
    const int64_t most = threads > 1 ? threads * PARTS_PER_THREAD : 1;
    const int64_t parts = std::clamp<int64_t>(work / kHashesPerPart, 1, std::min(most, std::max<int64_t>(sets.count, 1)));
    run_parts(parts, [&](int64_t part) {
        for (int64_t i = sets.count * part / parts; i < sets.count * (part + 1) / parts; ++i)
            for (int64_t first = 0; first < hashes; first += kTogether)
                least(sets.data + sets.starts[i], sets.starts[i + 1] - sets.starts[i], static_cast<uint64_t>(seed), first,
                      hashes, out + i * hashes);
    }, threads);
}

}  // namespace
}  // namespace pocketrec

int pr_minhash(const pr_sets* sets, int64_t hashes, int64_t seed, int64_t threads, int64_t* out, pr_error* error) {
    return pocketrec::guarded(error, [&] { pocketrec::minhash(*sets, hashes, seed, threads, out); });
}
