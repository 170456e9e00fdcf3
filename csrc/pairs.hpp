// Distinct (address, gradient) pairs, gathered in order of first occurrence.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "failure.hpp"

namespace pocketrec {

// An open-addressing table from addresses to places in the caller's arrays. Sized by the batch, never by the tables.
class Pairs {
  public:
    // At most `capacity` distinct addresses of `unit` floats each.
    Pairs(int64_t capacity, int64_t unit, int64_t* addresses, float* grads)
        : unit_(unit), addresses_(addresses), grads_(grads) {
        if (capacity >= INT32_MAX)
            fail(PR_VALUE_ERROR, "%lld gradients in one call are too many; the limit is 2**31 - 2.", say(capacity));
        int bits = 4;
        while ((int64_t{1} << bits) < 2 * capacity) ++bits;
        shift_ = 64 - bits;
        mask_ = (uint64_t{1} << bits) - 1;
        slots_.assign(size_t{1} << bits, 0);
    }

    int64_t count() const { return count_; }

    // The gradient of an address, float [unit]; zeros when it was not there.
    float* at(int64_t address) {
        // Fibonacci hashing: the top bits of the product spread neighbours well.
        uint64_t probe = (static_cast<uint64_t>(address) * 0x9E3779B97F4A7C15u) >> shift_;
        for (;; probe = (probe + 1) & mask_) {
            int32_t& slot = slots_[probe];
            if (slot == 0) {
                addresses_[count_] = address;
                float* fresh = grads_ + count_ * unit_;
                std::fill(fresh, fresh + unit_, 0.0f);
                slot = static_cast<int32_t>(++count_);
                return fresh;
            }
            if (addresses_[slot - 1] == address) return grads_ + (slot - 1) * unit_;
        }
    }

  private:
    int64_t unit_;
    int64_t* addresses_;
    float* grads_;
    int shift_;
    uint64_t mask_;
    std::vector<int32_t> slots_;  // 0: free, else one more than the place of the pair
    int64_t count_ = 0;
};

}  // namespace pocketrec
