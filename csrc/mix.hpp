// The hash behind every address; src/pocketrec/native/mix.py is its definition and names its source.
//
// Static, not only inline: files that are compiled for several SIMD levels include this, and a copy that they shared
// would be linked once, with the instructions of any of them.
#pragma once

#include <cstdint>

namespace pocketrec {

constexpr uint64_t kSignSalt = 0x5851F42D4C957F2Du;
constexpr uint64_t kTagSalt = 0x2545F4914F6CDD1Du;

static inline uint64_t fin(uint64_t word) {
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9u;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EBu;
    return word ^ (word >> 31);
}

// The seed's part in mix.
static inline uint64_t added(uint64_t seed) {
    return 0x9E3779B97F4A7C15u * (seed + 1);
}

static inline uint64_t flipped(uint64_t seed) {
    return seed * 0xD6E8FEB86659FD93u;
}

static inline uint64_t mix(uint64_t word, uint64_t seed) {
    return fin(fin(word + added(seed)) ^ flipped(seed));
}

// 0 <= bucket < buckets, for 1 <= buckets < 2^62.
static inline int64_t bucket(uint64_t word, int64_t buckets) {
    __extension__ typedef unsigned __int128 uint128;
    return static_cast<int64_t>((static_cast<uint128>(word >> 1) * static_cast<uint64_t>(buckets)) >> 63);
}

// 32 bits that are never all zero, and know nothing of the bucket.
static inline int32_t tag(uint64_t word) {
    const uint32_t low = static_cast<uint32_t>(fin(word ^ kTagSalt));
    return static_cast<int32_t>(low ? low : 1);
}

}  // namespace pocketrec
