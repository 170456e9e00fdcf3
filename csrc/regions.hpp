// Reading numbers out of regions, whatever their storage.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "failure.hpp"
#include "pocketrec.h"

namespace pocketrec {

inline float float_of_bits(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline float float_of_bfloat16(uint16_t bits) {
    return float_of_bits(static_cast<uint32_t>(bits) << 16);
}

inline float float_of_float16(uint16_t bits) {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16, exponent = (bits >> 10) & 31u,
                   mantissa = bits & 0x3FFu;
    if (exponent == 0) {  // subnormal: mantissa * 2^-24, which a float holds exactly
        const float magnitude = static_cast<float>(mantissa) * 5.9604644775390625e-8f;
        return sign ? -magnitude : magnitude;
    }
    // The bias of the exponent grows from 15 to 127; 31 stands for infinity and NaN and becomes 255.
    return float_of_bits(sign | (exponent == 31 ? 255u : exponent + 112u) << 23 | mantissa << 13);
}

// The regions of one call as one range of addresses.
class Regions {
  public:
    explicit Regions(const pr_request& request);

    int64_t total() const { return total_; }

    // Writes the row at an address, `dim` numbers; zeros for the null address. Throws PR_ID_ERROR beyond the regions.
    void read_row(int64_t address, int64_t dim, float* out) const;

    // The weight at an address of the one region that blocks are drawn from.
    float read_weight(int64_t address) const;

    [[noreturn]] void refuse(int64_t address) const;

  private:
    std::vector<pr_region> regions_;
    std::vector<int64_t> ends_;  // of each region, as addresses
    int64_t total_ = 0;
};

}  // namespace pocketrec
