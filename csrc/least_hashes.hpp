// Least hashes of a set; src/pocketrec/native/minhash.py is the definition.
#pragma once

#include <algorithm>
#include <cstdint>

#include "mix.hpp"

namespace pocketrec {

// out: the least of each of so many hashes over the members; -1 without members.
inline void least_hashes(const int32_t* members, int64_t count, uint64_t seed, int64_t hashes, int64_t* out) {
    constexpr int64_t kTogether = 8;  // least hashes that are kept in registers
    for (int64_t first = 0; first < hashes; first += kTogether) {
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
}

}  // namespace pocketrec
