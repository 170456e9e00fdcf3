// Division of non-negative int64 by a divisor that is known before: a multiplication and a shift.
#pragma once

#include <cstdint>

namespace pocketrec {

// For 0 <= x < 2^63 and 1 <= d < 2^62. With c = ceil(log2 d) and m = floor(2^(63+c) / d) + 1, which is below 2^64,
// m * d = 2^(63+c) + e with 0 < e <= d <= 2^c, so that x * m / 2^(63+c) exceeds x / d by less than 1 / d: its floor is
// the quotient (Granlund, Montgomery, PLDI 1994, theorem 4.2).
class Divider {
  public:
    Divider() = default;

    explicit Divider(int64_t divisor) : divisor_(static_cast<uint64_t>(divisor)) {
        while ((uint64_t{1} << shift_) < divisor_) ++shift_;
        magic_ = static_cast<uint64_t>((uint128{1} << (63 + shift_)) / divisor_) + 1;
    }

    int64_t quotient(int64_t x) const {
        const uint64_t twice = static_cast<uint64_t>(x) << 1;
        return static_cast<int64_t>(static_cast<uint64_t>((static_cast<uint128>(twice) * magic_) >> 64) >> shift_);
    }

    int64_t remainder(int64_t x) const { return x - quotient(x) * static_cast<int64_t>(divisor_); }

  private:
    __extension__ typedef unsigned __int128 uint128;

    uint64_t divisor_ = 1;
    uint64_t magic_ = (uint64_t{1} << 63) + 1;
    int shift_ = 0;
};

// The same for 0 <= x < 2^31 and 1 <= d <= 2^31, by a factor below 2^32: x * factor >> shift. With c = ceil(log2 d) it is
// floor(2^(31+c) / d) + 1, and the proof is the one above. It reaches 2^32 only if d < 2^(c-1) * (1 + 2^-31), but c > 0
// means d >= 2^(c-1) + 1.
struct ShortDivider {
    explicit ShortDivider(uint64_t divisor) {
        while ((uint64_t{1} << (shift - 31)) < divisor) ++shift;
        factor = (uint64_t{1} << shift) / divisor + 1;
    }

    uint64_t factor, shift = 31;
};

}  // namespace pocketrec
