// Places of distinct keys, in order of first occurrence.
#pragma once

#include <cstdint>
#include <vector>

#include "failure.hpp"

namespace pocketrec {

// An open-addressing table from keys (not negative) to places 0, 1, ... Sized by the batch, never by the tables.
class Slots {
  public:
    // At most `capacity` distinct keys; keys[place] is written for each.
    Slots(int64_t capacity, int64_t* keys) : keys_(keys) {
        if (capacity >= INT32_MAX)
            fail(PR_VALUE_ERROR, "%lld gradients in one call are too many; the limit is 2**31 - 2.", say(capacity));
        int bits = 4;
        while ((int64_t{1} << bits) < 2 * capacity) ++bits;
        shift_ = 64 - bits;
        mask_ = (uint64_t{1} << bits) - 1;
        entries_.assign(size_t{1} << bits, 0);
    }

    int32_t count() const { return count_; }

    void prefetch(int64_t key) const { __builtin_prefetch(&entries_[spread(key) >> shift_], 1); }

    int32_t place(int64_t key) {
        // The upper half of an entry is the lower half of the key: where it differs, keys_ need not be asked.
        const uint64_t tag = static_cast<uint64_t>(key) << 32;
        for (uint64_t probe = spread(key) >> shift_;; probe = (probe + 1) & mask_) {
            uint64_t& entry = entries_[probe];
            if (entry == 0) {
                keys_[count_] = key;
                entry = tag | static_cast<uint32_t>(++count_);
                return count_ - 1;
            }
            const int32_t found = static_cast<int32_t>(static_cast<uint32_t>(entry)) - 1;
            if ((entry >> 32) << 32 == tag && keys_[found] == key) return found;
        }
    }

    // places[i] = place of keys[i], -1 for the null key.
    void places(const int64_t* keys, int64_t count, int32_t* places) {
        constexpr int64_t kFar = 16;
        for (int64_t i = 0; i < count; ++i) {
            if (i + kFar < count) prefetch(keys[i + kFar]);
            places[i] = keys[i] < 0 ? -1 : place(keys[i]);
        }
    }

  private:
    // Fibonacci hashing: the top bits of the product spread neighbours well.
    static uint64_t spread(int64_t key) { return static_cast<uint64_t>(key) * 0x9E3779B97F4A7C15u; }

    int64_t* keys_;
    int shift_;
    uint64_t mask_;
    std::vector<uint64_t> entries_;  // 0: free, else one more than the place, and the tag
    int32_t count_ = 0;
};

}  // namespace pocketrec
