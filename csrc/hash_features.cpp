// pr_hash_features: many hashes of an id as numbers; src/pocketrec/native/hash_features.py is the definition.
#include <algorithm>
#include <vector>

#include "failure.hpp"
#include "mix.hpp"
#include "pocketrec.h"
#include "threads.hpp"

namespace pocketrec {
namespace {

constexpr uint64_t kBuckets = 1000000;
constexpr int64_t kHashesPerPart = 1 << 16;  // a thread is worth waking for about this many

// What tells hashes apart: hash i of a word is the top of word * factor[i] + plus[i].
struct Hashes {
    Hashes(int64_t count, uint64_t seed) : factor(static_cast<size_t>(count)), plus(factor.size()) {
        for (size_t i = 0; i < factor.size(); ++i) {
            factor[i] = mix(i, seed) | 1;
            plus[i] = mix(i + factor.size(), seed);
        }
    }

    std::vector<uint64_t> factor, plus;
};

void uniform(const Hashes& hashes, uint64_t word, float* out) {
    const float step = static_cast<float>(2.0 / (kBuckets - 1));
    for (size_t i = 0; i < hashes.factor.size(); ++i) {
        const uint64_t top = (word * hashes.factor[i] + hashes.plus[i]) >> 32;
        out[i] = static_cast<float>(static_cast<int32_t>((top * kBuckets) >> 32)) * step - 1.0f;
    }
}

void signs(const Hashes& hashes, uint64_t word, float* out) {
    for (size_t i = 0; i < hashes.factor.size(); ++i) {
        const int64_t first_bit = static_cast<int64_t>((word * hashes.factor[i] + hashes.plus[i]) >> 63);
        out[i] = static_cast<float>(1 - 2 * first_bit);  // without a branch, which nobody could predict
    }
}

}  // namespace
}  // namespace pocketrec

int pr_hash_features(const int64_t* ids, int64_t n, int64_t seed, int64_t count, int sign, int64_t threads, float* out,
                     pr_error* error) {
    using namespace pocketrec;
    return guarded(error, [&] {
        const uint64_t own = static_cast<uint64_t>(seed);
        const Hashes hashes(count, own);
        const int64_t most = threads > 1 ? threads * PARTS_PER_THREAD : 1;
        const int64_t parts = std::clamp<int64_t>(n * count / kHashesPerPart, 1, std::min(most, std::max<int64_t>(n, 1)));
        run_parts(parts, [&](int64_t part) {
            for (int64_t i = n * part / parts; i < n * (part + 1) / parts; ++i)
                (sign ? signs : uniform)(hashes, mix(static_cast<uint64_t>(ids[i]), own), out + i * count);
        }, threads);
    });
}
