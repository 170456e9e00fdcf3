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
#include "storages.hpp"

constexpr int kSums = 16, kRegisters = kSums / kLanes;

struct Sums {
    Floats of[kRegisters] = {};

    template <class Read>
    POCKETREC_INLINE void add(const Read& weights, const float* row, int64_t d) {
        for (int r = 0; r < kRegisters; ++r) of[r] += weights.at(d + r * kLanes) * load<Floats>(row + r * kLanes);
    }
};

// A row of inputs, and what of it is multiplied with the last sixteen weights of each output. Of fewer than sixteen inputs
// the row is filled up with zeros, and so are the weights.
struct Inputs {
    const float* row;
    float last[kSums] = {};
    int64_t count, whole;

    Inputs(const float* given, int64_t count) : row(given), count(count), whole(count / kSums * kSums) {
        if (!whole) {
            for (int64_t d = 0; d < count; ++d) last[d] = given[d];
            row = last;
        }
        for (int64_t d = whole; d < count && whole; ++d) last[d - (count - kSums)] = given[d];
    }
};

template <class Read>
POCKETREC_INLINE void put(const pr_layer& layer, const Sums& sums, int64_t o, float* out) {
    float found = folded(sums.of);
    if (layer.bias) found += Read(static_cast<const uint8_t*>(layer.bias), layer.outputs).one(o);
    out[o] = layer.relu && found < 0 ? 0.0f : found;
}

template <class Read, int kOutputs, int kBytes>
POCKETREC_INLINE void outputs(const pr_layer& layer, const Inputs& inputs, int64_t first, float* out) {
    const uint8_t* weights = static_cast<const uint8_t*>(layer.weight) + first * inputs.count * kBytes;
    const auto weights_of = [&](int o) POCKETREC_LAMBDA { return Read(weights + o * inputs.count * kBytes, inputs.count); };
    Sums sums[kOutputs];
    for (int64_t d = 0; d < inputs.whole; d += kSums)
        for (int o = 0; o < kOutputs; ++o) {
            // the next outputs' weights, which come from a cache further off
            __builtin_prefetch(weights + ((o + kOutputs) * inputs.count + d) * kBytes);
            sums[o].add(weights_of(o), inputs.row + d, d);
        }
    if (inputs.whole < inputs.count)
        for (int o = 0; o < kOutputs; ++o) sums[o].add(weights_of(o), inputs.last, inputs.count - kSums);
    for (int o = 0; o < kOutputs; ++o) put<Read>(layer, sums[o], first + o, out);
}

// Layers of fewer than sixteen inputs: rows are read with the beginning of the next ones, which is masked out.
template <class Read, int kBytes>
void narrow_outputs(const pr_layer& layer, const Inputs& inputs, float* out) {
    const uint8_t* weights = static_cast<const uint8_t*>(layer.weight);
    const int64_t bytes = inputs.count * kBytes, end = layer.outputs * bytes;
    Words masks[kRegisters];
    for (int d = 0; d < kSums; ++d) masks[d / kLanes][d % kLanes] = d < inputs.count ? ~0u : 0u;
    for (int64_t o = 0; o < layer.outputs; ++o) {
        uint8_t copy[kSums * kBytes] = {};
        const uint8_t* row = weights + o * bytes;
        if (o * bytes + kSums * kBytes > end) {
            __builtin_memcpy(copy, row, static_cast<unsigned long>(bytes));
            row = copy;
        }
        const Read read(row, kSums);
        Sums sums;
        for (int r = 0; r < kRegisters; ++r)
            sums.of[r] += bits_of<Floats>(bits_of<Words>(read.at(r * kLanes)) & masks[r]) * load<Floats>(inputs.row + r * kLanes);
        put<Read>(layer, sums, o, out);
    }
}

template <class Read, int kBytes>
void all_outputs(const pr_layer& layer, const float* row, float* out) {
    constexpr int kTogether = 4;
    const Inputs inputs(row, layer.inputs);
    if (!inputs.whole) return narrow_outputs<Read, kBytes>(layer, inputs, out);
    int64_t o = 0;
    for (; o + kTogether <= layer.outputs; o += kTogether) outputs<Read, kTogether, kBytes>(layer, inputs, o, out);
    for (; o < layer.outputs; ++o) outputs<Read, 1, kBytes>(layer, inputs, o, out);
}

void compute(const pr_layer& layer, const float* row, float* out) {
    if (layer.storage == PR_BFLOAT16) return all_outputs<ReadBfloat16, 2>(layer, row, out);
    all_outputs<ReadFloat32, 4>(layer, row, out);
}

}  // namespace
