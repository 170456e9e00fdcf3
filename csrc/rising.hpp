// Sorting of ids by value, with the places they came from: counting some of their bits at a time, from the lowest.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace pocketrec {

// An id (not negative), and where it stood.
struct Placed {
    int64_t id, place;
};

// Sorts by id; equal ids keep their order. `spare` is room that may be used again.
inline void sort_rising(std::vector<Placed>& some, std::vector<Placed>& spare) {
    constexpr size_t kFew = 128;  // of which comparisons cost less than counts
    constexpr int kMostBits = 10;
    if (some.size() < kFew) {
        std::stable_sort(some.begin(), some.end(), [](const Placed& a, const Placed& b) { return a.id < b.id; });
        return;
    }
    uint64_t any = 1;
    for (const Placed& own : some) any |= static_cast<uint64_t>(own.id);
    const int bits = 64 - __builtin_clzll(any), passes = (bits + kMostBits - 1) / kMostBits;
    const int each = (bits + passes - 1) / passes;
    const uint64_t mask = (uint64_t{1} << each) - 1;
    spare.resize(some.size());
    for (int pass = 0; pass < passes; ++pass) {
        const int shift = pass * each;
        std::array<size_t, size_t{1} << kMostBits> ends{};
        for (const Placed& own : some) ++ends[static_cast<uint64_t>(own.id) >> shift & mask];
        size_t before = 0;
        for (uint64_t i = 0; i <= mask; ++i) {
            const size_t count = ends[i];
            ends[i] = before;
            before += count;
        }
        for (const Placed& own : some) spare[ends[static_cast<uint64_t>(own.id) >> shift & mask]++] = own;
        some.swap(spare);
    }
}

}  // namespace pocketrec
