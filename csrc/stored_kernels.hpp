// Units kept in fewer bits: to float32, and back with stochastic rounding. src/pocketrec/native/rounding.py is the
// definition. Included once per SIMD level, like update_kernels.hpp, and under the same rules.
//
// The random numbers have 16 bits. In units of 2^-16 of the step between two storable neighbours, a value's distance to
// the lower one is a whole number of 0 to 65535; it is rounded up when that and the random number reach 2^16.
#pragma once

#include "mix.hpp"
#include "update.hpp"

namespace pocketrec {
namespace {

inline uint32_t bits_of(float value) {
    uint32_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    return bits;
}

inline float of_bits(uint32_t bits) {
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "random words are taken apart by their place in memory");

// draws[d], d < unit: four of each word of a splitmix64 stream that begins at the hash of the address. Room for three
// more is needed.
inline void draw(uint16_t* draws, int64_t unit, int64_t address, uint64_t key) {
    const uint64_t start = mix(static_cast<uint64_t>(address), key);
    const int64_t words = (unit + 3) / 4;
    for (int64_t word = 0; word < words; ++word) {
        const uint64_t bits = fin(start + 0x9E3779B97F4A7C15u * static_cast<uint64_t>(word + 1));
        __builtin_memcpy(draws + 4 * word, &bits, sizeof bits);
    }
}

struct Bfloat16 {
    static void read(const uint16_t* stored, int64_t unit, float* out) {
        for (int64_t d = 0; d < unit; ++d) out[d] = of_bits(static_cast<uint32_t>(stored[d]) << 16);
    }

    static void write(const float* values, const uint16_t* draws, int64_t unit, uint16_t* stored) {
        for (int64_t d = 0; d < unit; ++d) {
            const uint32_t bits = bits_of(values[d]), size = bits & 0x7FFFFFFFu;
            uint32_t found = (size + draws[d]) >> 16;
            found = found < 0x7F7Fu ? found : 0x7F7Fu;     // the largest finite one
            found = size > 0x7F800000u ? 0x7FC0u : found;  // NaN
            stored[d] = static_cast<uint16_t>((bits >> 16 & 0x8000u) | found);
        }
    }
};

struct Float16 {
    static void read(const uint16_t* stored, int64_t unit, float* out) {
        for (int64_t d = 0; d < unit; ++d) {
            const uint32_t bits = stored[d], size = bits & 0x7FFFu;
            // The bias of the exponent grows from 15 to 127; 31 stands for infinity and NaN and becomes 255.
            const uint32_t normal = (size << 13) + (size < 0x7C00u ? 112u << 23 : 224u << 23);
            const uint32_t subnormal = bits_of(static_cast<float>(static_cast<int32_t>(size)) * 0x1p-24f);
            out[d] = of_bits((bits & 0x8000u) << 16 | (size < 0x0400u ? subnormal : normal));
        }
    }

    static void write(const float* values, const uint16_t* draws, int64_t unit, uint16_t* stored) {
        for (int64_t d = 0; d < unit; ++d) {
            const uint32_t bits = bits_of(values[d]), size = bits & 0x7FFFFFFFu, random = draws[d];
            const uint32_t normal = ((size + (random >> 3)) >> 13) - (112u << 10);
            // Below 2^-14 neighbours are 2^-24 apart.
            const float magnitude = __builtin_fabsf(values[d]);
            const float small = (magnitude < 0x1p-14f ? magnitude : 0x1p-14f) * 0x1p40f;
            const uint32_t subnormal = (static_cast<uint32_t>(static_cast<int32_t>(small)) + random) >> 16;
            uint32_t found = magnitude < 0x1p-14f ? subnormal : normal;
            found = found < 0x7BFFu ? found : 0x7BFFu;     // the largest finite one
            found = size > 0x7F800000u ? 0x7E00u : found;  // NaN
            stored[d] = static_cast<uint16_t>((bits >> 16 & 0x8000u) | found);
        }
    }
};

// Codes [unit], then scale and bias without alignment: value = code * scale + bias. Steps: a whole number that holds 2^16
// times the largest code.
template <class Code, class Steps>
struct Codes {
    static constexpr float kMost = static_cast<float>(static_cast<Code>(-1));
    static constexpr int64_t kBytes = sizeof(Code), kScaleBytes = sizeof(float);

    static void read(const uint8_t* stored, int64_t unit, float* out) {
        float scale, bias;
        __builtin_memcpy(&scale, stored + unit * kBytes, sizeof scale);
        __builtin_memcpy(&bias, stored + unit * kBytes + kScaleBytes, sizeof bias);
        for (int64_t d = 0; d < unit; ++d) {
            Code code;
            __builtin_memcpy(&code, stored + d * kBytes, sizeof code);
            out[d] = static_cast<float>(code) * scale + bias;
        }
    }

    // Fits scale and bias to the values, which are changed: cut to 2^126, so that their range is finite.
    static void write(float* values, const uint16_t* draws, int64_t unit, uint8_t* stored) {
        float low, high;
        const bool has_nan = find_range(values, unit, &low, &high);
        float scale = has_nan ? of_bits(0x7FC00000u) : (high - low) / kMost;
        const float divisor = scale > 0 ? scale : 1.0f;
        for (int64_t d = 0; d < unit; ++d) {
            const float steps = (values[d] - low) / divisor;
            const float cut = steps < kMost ? steps : kMost;
            const Steps up = (static_cast<Steps>(cut * 65536.0f + 0.5f) + draws[d]) >> 16;
            const Code code = static_cast<Code>(up < static_cast<Code>(-1) ? up : static_cast<Code>(-1));
            __builtin_memcpy(stored + d * kBytes, &code, sizeof code);
        }
        const float bias = has_nan ? scale : low + 0.0f;  // no negative zero: which of two zeros is least has no meaning
        __builtin_memcpy(stored + unit * kBytes, &scale, sizeof scale);
        __builtin_memcpy(stored + unit * kBytes + kScaleBytes, &bias, sizeof bias);
    }

    // Least and greatest; NaN counts as zero and is told of. Compared as integers of the same order, whose least and
    // greatest the compiler may look for in any order, so that it vectorises the loop.
    static bool find_range(float* values, int64_t unit, float* low, float* high) {
        constexpr float kEnd = 0x1p126f;
        uint32_t nans = 0;
        int32_t least = INT32_MAX, greatest = INT32_MIN;
        for (int64_t d = 0; d < unit; ++d) {
            const float value = values[d];
            nans |= value != value;
            const float above = value > -kEnd ? value : value != value ? 0.0f : -kEnd;
            const float cut = above < kEnd ? above : kEnd;
            const int32_t bits = static_cast<int32_t>(bits_of(cut)), ordered = bits ^ (bits >> 31 & INT32_MAX);
            least = ordered < least ? ordered : least;
            greatest = ordered > greatest ? ordered : greatest;
            values[d] = cut;
        }
        *low = of_bits(static_cast<uint32_t>(least ^ (least >> 31 & INT32_MAX)));
        *high = of_bits(static_cast<uint32_t>(greatest ^ (greatest >> 31 & INT32_MAX)));
        return nans != 0;
    }
};

using Int8 = Codes<uint8_t, int32_t>;
using Int16 = Codes<uint16_t, int64_t>;

// Rows of Int8 whose scale is learned and not fitted: signed codes -128..127, stored as 0..255 above a bias of -128 scales.
struct LearnedInt8 {
    static constexpr float kLeast = -128.0f, kGreatest = 127.0f;

    static float scale(const uint8_t* stored, int64_t unit) {
        float found;
        __builtin_memcpy(&found, stored + unit, sizeof found);
        return found;
    }

    // Kept above zero, and where 255 of it are finite. NaN stays.
    static float within(float scale) {
        const float above = scale < 0x1p-20f ? 0x1p-20f : scale;
        return above > 0x1p118f ? 0x1p118f : above;
    }

    // Of the loss by the scale, where the weights are read rounded to nearest. Sums as in mean_square.
    static float gradient(const float* values, const float* grad, int64_t unit, float scale) {
        constexpr int64_t kLanes = 16;
        float lanes[kLanes] = {};
        for (int64_t first = 0; first < unit; first += kLanes) {
            const int64_t count = unit - first < kLanes ? unit - first : kLanes;
            for (int64_t j = 0; j < count; ++j) lanes[j] += grad[first + j] * pull(values[first + j] / scale);
        }
        for (int64_t half = kLanes / 2; half; half /= 2)
            for (int64_t j = 0; j < half; ++j) lanes[j] += lanes[j + half];
        return lanes[0];
    }

    static void write(const float* values, const uint16_t* draws, int64_t unit, float scale, uint8_t* stored) {
        for (int64_t d = 0; d < unit; ++d) {
            const float steps = values[d] / scale - kLeast;
            const float above = steps > 0 ? steps : 0.0f, cut = above < 255.0f ? above : 255.0f;
            const int32_t up = (static_cast<int32_t>(cut * 65536.0f + 0.5f) + draws[d]) >> 16;
            stored[d] = static_cast<uint8_t>(up < 255 ? up : 255);
        }
        const float bias = kLeast * scale;
        __builtin_memcpy(stored + unit, &scale, sizeof scale);
        __builtin_memcpy(stored + unit + sizeof scale, &bias, sizeof bias);
    }

  private:
    // By how much a number that is `code` scales moves with the scale when it is rounded. Adding and taking away 1.5 x 2^23
    // rounds to the nearest whole number, halves to the even one.
    static float pull(float code) {
        const float above = code > kLeast ? code : kLeast, cut = above < kGreatest ? above : kGreatest;
        const float inside = cut + 12582912.0f - 12582912.0f - cut;
        return code > kLeast && code < kGreatest ? inside : cut;
    }
};

// Reads the unit at `stored` as float32.
inline void read_unit(int64_t storage, const uint8_t* stored, int64_t unit, float* out) {
    switch (storage) {
        case PR_FLOAT16: return Float16::read(reinterpret_cast<const uint16_t*>(stored), unit, out);
        case PR_BFLOAT16: return Bfloat16::read(reinterpret_cast<const uint16_t*>(stored), unit, out);
        case PR_INT16: return Int16::read(stored, unit, out);
        default: return Int8::read(stored, unit, out);
    }
}

// Writes a unit back, rounded; `values` may be changed.
inline void write_unit(int64_t storage, float* values, const uint16_t* draws, int64_t unit, uint8_t* stored) {
    switch (storage) {
        case PR_FLOAT16: return Float16::write(values, draws, unit, reinterpret_cast<uint16_t*>(stored));
        case PR_BFLOAT16: return Bfloat16::write(values, draws, unit, reinterpret_cast<uint16_t*>(stored));
        case PR_INT16: return Int16::write(values, draws, unit, stored);
        default: return Int8::write(values, draws, unit, stored);
    }
}

}  // namespace
}  // namespace pocketrec
