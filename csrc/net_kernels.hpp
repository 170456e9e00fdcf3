// The loop of net.hpp for the SIMD level that the including file is compiled for.
//
// Such a product reads every weight once and is bound by that: four outputs at a time keep enough reads under way. Each
// output has sixteen sums, d modulo 16 and the last sixteen inputs once more where they do not come out even, folded in
// halves: an order that every level can keep.
#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "net.hpp"

namespace {

#include "lanes.hpp"

constexpr int kSums = 16, kRegisters = kSums / kLanes, kCacheLine = 64;

// How a storage fills registers with sixteen weights: in an order of its own, into which `arrange` brings sixteen numbers
// of four bytes. `halved` adds sums j and j + 8, then j and j + 4, from that order, and gives the four in order.
struct Float32 {
    static constexpr int kBytes = 4;
    static POCKETREC_INLINE void arrange(void*) {}
    static POCKETREC_INLINE Floats at(const uint8_t* sixteen, int r) { return load<Floats>(sixteen + r * 4 * kLanes); }
    static POCKETREC_INLINE float one(const uint8_t* weight) { return load<float>(weight); }
    static POCKETREC_INLINE Four halved(const Four* sums) { return four_of(sums); }
};

// Even ones first: a word of memory holds two numbers, and after a shift or a mask it is one of them in float32. Widening
// them in order takes an instruction more for every eight, and a net in bfloat16 is then no quicker than one in float32.
struct Bfloat16 {
    static constexpr int kBytes = 2;
    static POCKETREC_INLINE void arrange(void* sixteen) {
        Four of[4];
        __builtin_memcpy(of, sixteen, sizeof of);
        const Ints4 even = {0, 2, 4, 6}, odd = {1, 3, 5, 7};
        const Four arranged[4] = {__builtin_shuffle(of[0], of[1], even), __builtin_shuffle(of[2], of[3], even),
                                  __builtin_shuffle(of[0], of[1], odd), __builtin_shuffle(of[2], of[3], odd)};
        __builtin_memcpy(sixteen, arranged, sizeof arranged);
    }
    static POCKETREC_INLINE Floats at(const uint8_t* sixteen, int r) {
#if defined(__AVX512F__)
        const auto eight = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(sixteen + r * 4 * kLanes));
        const Words pairs = bits_of<Words>(_mm512_maskz_broadcast_i64x4(0xFF, eight));
        const Words shifts = {16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0};
        return bits_of<Floats>(pairs << shifts & 0xFFFF0000u);
#else
        constexpr int kHalf = kRegisters / 2;
        const Words pairs = load<Words>(sixteen + r % kHalf * 4 * kLanes);
        return bits_of<Floats>(r < kHalf ? pairs << 16 : pairs & 0xFFFF0000u);
#endif
    }
    static POCKETREC_INLINE float one(const uint8_t* weight) {
        return bits_of<float>(static_cast<uint32_t>(load<uint16_t>(weight)) << 16);
    }
    static POCKETREC_INLINE Four halved(const Four* sums) {
        const Four even = sums[0] + sums[1], odd = sums[2] + sums[3];
        return __builtin_shuffle(even, odd, (Ints4{0, 4, 1, 5})) + __builtin_shuffle(even, odd, (Ints4{2, 6, 3, 7}));
    }
};

template <class Storage>
struct Sums {
    Floats of[kRegisters] = {};

    POCKETREC_INLINE void add(const uint8_t* weights, const float* row) {
        for (int r = 0; r < kRegisters; ++r) of[r] += Storage::at(weights, r) * load<Floats>(row + r * kLanes);
    }

    POCKETREC_INLINE float folded() const {
        Four fours[4];
        __builtin_memcpy(fours, of, sizeof fours);
        return one_of(Storage::halved(fours));
    }
};

// A row of inputs, brought into the storage's order where it lies, and what of it is multiplied with the last sixteen
// weights of each output. Of fewer than sixteen inputs the row is filled up with zeros, and so are the weights.
template <class Storage>
struct Inputs {
    const float* row;
    float last[kSums] = {};
    int64_t count, whole;

    Inputs(float* given, int64_t count) : row(given), count(count), whole(count / kSums * kSums) {
        const int64_t first = whole ? count - kSums : 0;  // of the last sixteen
        for (int64_t d = whole; d < count; ++d) last[d - first] = given[d];
        if (!whole) row = last;
        for (int64_t d = 0; d < whole; d += kSums) Storage::arrange(given + d);
        Storage::arrange(last);
    }
};

template <class Storage>
POCKETREC_INLINE void put(const pr_layer& layer, const Sums<Storage>& sums, int64_t o, float* out) {
    float found = sums.folded();
    if (layer.bias) found += Storage::one(static_cast<const uint8_t*>(layer.bias) + o * Storage::kBytes);
    out[o] = layer.relu && found < 0 ? 0.0f : found;
}

template <class Storage, int kOutputs>
POCKETREC_INLINE void outputs(const pr_layer& layer, const Inputs<Storage>& inputs, int64_t first, float* out) {
    const uint8_t* weights = static_cast<const uint8_t*>(layer.weight) + first * inputs.count * Storage::kBytes;
    const auto at = [&](int o, int64_t d) POCKETREC_LAMBDA {
        return weights + (o * inputs.count + d) * Storage::kBytes;
    };
    Sums<Storage> sums[kOutputs];
    for (int64_t d = 0; d < inputs.whole; d += kSums)
        for (int o = 0; o < kOutputs; ++o) {
            // a line of the next outputs' weights, which come from a cache further off
            if (d * Storage::kBytes % kCacheLine == 0) __builtin_prefetch(at(o + kOutputs, d));
            sums[o].add(at(o, d), inputs.row + d);
        }
    if (inputs.whole < inputs.count)
        for (int o = 0; o < kOutputs; ++o) sums[o].add(at(o, inputs.count - kSums), inputs.last);
    for (int o = 0; o < kOutputs; ++o) put(layer, sums[o], first + o, out);
}

// Layers of fewer than sixteen inputs: rows are read with the beginning of the next ones, which is masked out.
template <class Storage>
void narrow_outputs(const pr_layer& layer, const Inputs<Storage>& inputs, float* out) {
    const uint8_t* weights = static_cast<const uint8_t*>(layer.weight);
    const int64_t bytes = inputs.count * Storage::kBytes, end = layer.outputs * bytes;
    uint32_t masks[kSums];
    for (int d = 0; d < kSums; ++d) masks[d] = d < inputs.count ? ~0u : 0u;
    Storage::arrange(masks);
    for (int64_t o = 0; o < layer.outputs; ++o) {
        uint8_t copy[kSums * Storage::kBytes] = {};
        const uint8_t* row = weights + o * bytes;
        if (o * bytes + kSums * Storage::kBytes > end) {
            __builtin_memcpy(copy, row, static_cast<unsigned long>(bytes));
            row = copy;
        }
        Sums<Storage> sums;
        for (int r = 0; r < kRegisters; ++r) {
            const Words found = bits_of<Words>(Storage::at(row, r)) & load<Words>(masks + r * kLanes);
            sums.of[r] += bits_of<Floats>(found) * load<Floats>(inputs.row + r * kLanes);
        }
        put(layer, sums, o, out);
    }
}

template <class Storage>
void all_outputs(const pr_layer& layer, float* row, float* out) {
    constexpr int kTogether = 4;
    const Inputs<Storage> inputs(row, layer.inputs);
    if (!inputs.whole) return narrow_outputs(layer, inputs, out);
    int64_t o = 0;
    for (; o + kTogether <= layer.outputs; o += kTogether) outputs<Storage, kTogether>(layer, inputs, o, out);
    for (; o < layer.outputs; ++o) outputs<Storage, 1>(layer, inputs, o, out);
}

void compute(const pr_layer& layer, float* row, float* out) {
    if (layer.storage == PR_BFLOAT16) return all_outputs<Bfloat16>(layer, row, out);
    all_outputs<Float32>(layer, row, out);
}

}  // namespace
