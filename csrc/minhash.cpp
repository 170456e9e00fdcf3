// pr_minhash: least hashes of sets; src/pocketrec/native/minhash.py is the definition.
#include <algorithm>

#include "failure.hpp"
#include "least_hashes.hpp"
#include "pocketrec.h"
#include "threads.hpp"

namespace pocketrec {
namespace {

constexpr int64_t kHashesPerPart = 1 << 16;  // a thread is worth waking for about this many
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
            least_hashes(sets.data + sets.starts[i], sets.starts[i + 1] - sets.starts[i], static_cast<uint64_t>(seed), hashes,
                         out + i * hashes);
    }, threads);
}

}  // namespace
}  // namespace pocketrec

int pr_minhash(const pr_sets* sets, int64_t hashes, int64_t seed, int64_t threads, int64_t* out, pr_error* error) {
    return pocketrec::guarded(error, [&] { pocketrec::minhash(*sets, hashes, seed, threads, out); });
}
