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
        while ((int64_t{1} << most_bits_) < 2 * capacity) ++most_bits_;
        resize(most_bits_ < kFewBits ? most_bits_ : most_bits_ - kFewer);
    }

    int32_t count() const { return count_; }

    void prefetch(int64_t key) const { __builtin_prefetch(&entries_[spread(key) >> shift_], 1); }

    int32_t place(int64_t key) {
        // The upper half of an entry is the lower half of the key: where it differs, keys_ need not be asked.
        const uint64_t tag = static_cast<uint64_t>(key) << 32;
        for (uint64_t probe = spread(key) >> shift_;; probe = (probe + 1) & mask_) {
            uint64_t& entry = entries_[probe];
            if (entry == 0) {
                if (count_ == limit_) {
                    resize(most_bits_);
                    return place(key);
                }
                keys_[count_] = key;
                entry = entry_of(key, count_);
                return count_++;
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
    // Most keys of a large call come several times: its table begins with fewer entries than all keys might need, which
    // are cleared sooner and lie in nearer caches, and grows once.
    static constexpr int kFewBits = 12, kFewer = 2;

    void resize(int bits) {
        shift_ = 64 - bits;
        mask_ = (uint64_t{1} << bits) - 1;
        limit_ = bits < most_bits_ ? int32_t{1} << (bits - 1) : INT32_MAX;
        entries_.assign(size_t{1} << bits, 0);
        for (int32_t place = 0; place < count_; ++place) {
            uint64_t probe = spread(keys_[place]) >> shift_;
            while (entries_[probe]) probe = (probe + 1) & mask_;
            entries_[probe] = entry_of(keys_[place], place);
        }
    }

    static uint64_t entry_of(int64_t key, int32_t place) {
        return static_cast<uint64_t>(key) << 32 | (static_cast<uint32_t>(place) + 1);
    }

    // Fibonacci hashing: the top bits of the product spread neighbours well.
    static uint64_t spread(int64_t key) { return static_cast<uint64_t>(key) * 0x9E3779B97F4A7C15u; }

    int64_t* keys_;
    int most_bits_ = 4, shift_ = 0;
    uint64_t mask_ = 0;
    int32_t limit_ = 0;  // keys, from which on the table grows
    std::vector<uint64_t> entries_;  // 0: free, else one more than the place, and the tag
    int32_t count_ = 0;
};

}  // namespace pocketrec
