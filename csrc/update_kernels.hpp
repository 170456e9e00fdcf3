// The loops of pr_update, included by update_generic.cpp, update_avx2.cpp and update_avx512.cpp, which differ in the
// flags that they are compiled with and in nothing else. src/pocketrec/native/update.py has the equations.
//
// All arithmetic is float32, each operation rounded by itself, in an order that no level may change; so all levels give
// the same bits. Everything lies in an anonymous namespace and no function of the standard library is called: a function
// that two levels shared would be linked once, with the instructions of either.
#pragma once

#include "stored_kernels.hpp"
#include "update.hpp"

namespace pocketrec {
namespace {

constexpr int64_t kLineBytes = 64;
constexpr int64_t kMostAhead = 16;

// How many pairs before its turn a row is called from memory: enough to cover a miss, few enough for the dozen lines that
// a core has on their way at once. Always a power of two. To be tuned by benchmarks/.
inline int64_t pairs_ahead(int64_t row_bytes) {
    return row_bytes <= 128 ? kMostAhead : row_bytes <= 256 ? 8 : 4;
}

inline void prefetch(const void* place, int64_t bytes) {
    const char* begin = static_cast<const char*>(place);
    for (int64_t offset = 0; offset < bytes; offset += kLineBytes) __builtin_prefetch(begin + offset, 1);
    if (bytes % kLineBytes) __builtin_prefetch(begin + bytes - 1, 1);  // such units may lie across a border
}

// The stored weights and the state of one unit.
struct Place {
    uint8_t* weight;
    float* first;
    float* second;
    float* scale_first;
    float* scale_second;
    int64_t storage;
};

// kAlgorithm: a pr_algorithm. kUnit: numbers per unit, 0 where only the call knows. kL2: whether l2 is above 0 (without
// it weights must not be read into the gradient, they may be infinite).
template <int kAlgorithm, int kUnit, bool kL2>
struct Kernel {
    static constexpr bool kRowwise = kAlgorithm == PR_ROWWISE_ADAGRAD;

    static int64_t unit_of(const UpdateCall& call) { return kUnit ? kUnit : call.unit; }

    static float gradient(float grad, float weight, const Rates& rates) {
        return kL2 ? grad + rates.l2 * weight : grad;
    }

    // Sixteen sums, d modulo 16, then folded in halves: the order that every level can keep.
    static float mean_square(const float* weight, const float* grad, int64_t unit, const Rates& rates) {
        if (kUnit == 1) {  // the same sum; the others are zeros
            const float g = gradient(*grad, *weight, rates);
            return g * g;
        }
        constexpr int64_t kLanes = 16;
        float lanes[kLanes] = {};
        int64_t d = 0;
        for (; d + kLanes <= unit; d += kLanes)
            for (int64_t j = 0; j < kLanes; ++j) {
                const float g = gradient(grad[d + j], weight[d + j], rates);
                lanes[j] += g * g;
            }
        for (int64_t j = 0; d + j < unit; ++j) {
            const float g = gradient(grad[d + j], weight[d + j], rates);
            lanes[j] += g * g;
        }
        for (int64_t half = kLanes / 2; half; half /= 2)
            for (int64_t j = 0; j < half; ++j) lanes[j] += lanes[j + half];
        return lanes[0] / static_cast<float>(unit);
    }

    static void step(float* __restrict__ weight, const float* __restrict__ grad, float* __restrict__ first,
                     float* __restrict__ second, int64_t unit, const Rates& shared) {
        const Rates rates = shared;
        float rate = rates.lr;
        if (kRowwise) {
            *first += mean_square(weight, grad, unit, rates);
            rate = rates.lr / (__builtin_sqrtf(*first) + rates.eps);
        }
        for (int64_t d = 0; d < unit; ++d) {
            const float g = gradient(grad[d], weight[d], rates);
            if (kAlgorithm == PR_ADAGRAD) {
                first[d] += g * g;
                weight[d] -= rates.lr * (g / (__builtin_sqrtf(first[d]) + rates.eps));
            } else if (kAlgorithm == PR_ADAM) {
                first[d] += rates.first * (g - first[d]);
                second[d] += rates.second * (g * g - second[d]);
                weight[d] -= rates.adam * (first[d] / (__builtin_sqrtf(second[d]) + rates.eps));
            } else {
                weight[d] -= rate * g;
            }
        }
    }

    // The scale of a row after its step, by the gradient of what its moved weights round to.
    static float learned_scale(const float* weight, const float* grad, int64_t unit, const Place& place,
                               const Rates& rates) {
        float scale = LearnedInt8::scale(place.weight, unit);
        const float g = LearnedInt8::gradient(weight, grad, unit, scale) * rates.scale_gradient;
        if (kAlgorithm == PR_SGD) {
            scale -= rates.scale_lr * g;
        } else if (kAlgorithm == PR_ADAM) {
            *place.scale_first += rates.first * (g - *place.scale_first);
            *place.scale_second += rates.second * (g * g - *place.scale_second);
            scale -= rates.scale_adam * (*place.scale_first / (__builtin_sqrtf(*place.scale_second) + rates.eps));
        } else {
            *place.scale_first += g * g;
            scale -= rates.scale_lr * (g / (__builtin_sqrtf(*place.scale_first) + rates.eps));
        }
        return LearnedInt8::within(scale);
    }

    // Finds the unit of a pair and calls it from memory.
    static Place located(const UpdateCall& call, int64_t pair) {
        const int64_t address = call.addresses[pair], wide = kRowwise ? 1 : unit_of(call);
        const int64_t state_bytes = wide * static_cast<int64_t>(sizeof(float));
        int64_t low = 0, high = call.region_count - 1;  // the first region that ends above the address
        while (low < high) {
            const int64_t middle = (low + high) / 2;
            if (call.ends[middle] > address)
                high = middle;
            else
                low = middle + 1;
        }
        const UpdateRegion& region = call.regions[low];
        const int64_t row = low ? address - call.ends[low - 1] : address;
        const int64_t unit_bytes = kUnit ? kUnit * static_cast<int64_t>(sizeof(float)) : region.unit_bytes;
        Place place{region.data + row * unit_bytes, nullptr, nullptr, nullptr, nullptr, region.storage};
        prefetch(place.weight, unit_bytes);
        if (kAlgorithm != PR_SGD) {
            place.first = region.first + row * wide;
            prefetch(place.first, state_bytes);
        }
        if (kAlgorithm == PR_ADAM) {
            place.second = region.second + row * wide;
            prefetch(place.second, state_bytes);
        }
        if (call.learns_scales && region.storage == PR_INT8 && kAlgorithm != PR_SGD) {
            place.scale_first = region.scale_first + row;
            prefetch(place.scale_first, sizeof(float));
            if (kAlgorithm == PR_ADAM) place.scale_second = region.scale_second + row;
        }
        return place;
    }

    // One step of a unit of any storage. scratch: as update.hpp says.
    static void apply(const UpdateCall& call, int64_t pair, const Place& place, float* scratch) {
        const int64_t unit = unit_of(call);
        const float* grad = call.grads + pair * unit;
        if (kUnit || place.storage == PR_FLOAT32) {
            step(reinterpret_cast<float*>(place.weight), grad, place.first, place.second, unit, call.rates);
            return;
        }
        uint16_t* draws = reinterpret_cast<uint16_t*>(scratch + unit);
        draw(draws, unit, call.addresses[pair], call.key);
        read_unit(place.storage, place.weight, unit, scratch);
        step(scratch, grad, place.first, place.second, unit, call.rates);
        if (call.learns_scales && place.storage == PR_INT8)
            LearnedInt8::write(scratch, draws, unit, learned_scale(scratch, grad, unit, place, call.rates), place.weight);
        else
            write_unit(place.storage, scratch, draws, unit, place.weight);
    }

    static void run(const UpdateCall& call, int64_t begin, int64_t end, float* scratch) {
        const int64_t ahead = pairs_ahead(unit_of(call) * static_cast<int64_t>(sizeof(float)));
        Place places[kMostAhead];  // of the next pairs, by their number modulo `ahead`
        for (int64_t pair = begin; pair < end && pair < begin + ahead; ++pair)
            places[pair & (ahead - 1)] = located(call, pair);
        for (int64_t pair = begin; pair < end; ++pair) {
            const Place place = places[pair & (ahead - 1)];
            if (pair + ahead < end) places[pair & (ahead - 1)] = located(call, pair + ahead);
            apply(call, pair, place, scratch);
        }
    }
};

template <int kAlgorithm, int kUnit>
void run_l2(const UpdateCall& call, int64_t begin, int64_t end, float* scratch) {
    if (call.rates.l2 != 0)
        Kernel<kAlgorithm, kUnit, true>::run(call, begin, end, scratch);
    else
        Kernel<kAlgorithm, kUnit, false>::run(call, begin, end, scratch);
}

// Usual dims of float32 have loops of their own, whose lengths the compiler knows.
template <int kAlgorithm>
void run_unit(const UpdateCall& call, int64_t begin, int64_t end, float* scratch) {
    switch (call.all_float32 ? call.unit : 0) {
        case 1: return run_l2<kAlgorithm, 1>(call, begin, end, scratch);
        case 16: return run_l2<kAlgorithm, 16>(call, begin, end, scratch);
        case 32: return run_l2<kAlgorithm, 32>(call, begin, end, scratch);
        case 64: return run_l2<kAlgorithm, 64>(call, begin, end, scratch);
        case 128: return run_l2<kAlgorithm, 128>(call, begin, end, scratch);
        default: return run_l2<kAlgorithm, 0>(call, begin, end, scratch);
    }
}

inline void run_pairs(const UpdateCall& call, int64_t begin, int64_t end, float* scratch) {
    switch (call.algorithm) {
        case PR_SGD: return run_unit<PR_SGD>(call, begin, end, scratch);
        case PR_ROWWISE_ADAGRAD: return run_unit<PR_ROWWISE_ADAGRAD>(call, begin, end, scratch);
        case PR_ADAGRAD: return run_unit<PR_ADAGRAD>(call, begin, end, scratch);
        default: return run_unit<PR_ADAM>(call, begin, end, scratch);
    }
}

}  // namespace
}  // namespace pocketrec
