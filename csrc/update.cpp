// pr_update: one optimizer step on the touched units; src/pocketrec/native/update.py has the equations and
// update_kernels.hpp the loops. Here pairs are checked, dealt out to threads, and the SIMD level is chosen.
#include "update.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu.hpp"
#include "failure.hpp"
#include "mix.hpp"
#include "threads.hpp"

namespace pocketrec {
namespace {

// Fewer weights than these are not worth waking a thread for (some microseconds).
constexpr int64_t kLeastWeightsPerPart = 16384;

// Of signed codes of 8 bits.
constexpr double kGreatestCode = 127;

Rates rates_of(const pr_rule& rule, int64_t unit) {
    const double step = static_cast<double>(rule.step);
    Rates rates;
    rates.lr = static_cast<float>(rule.lr);
    rates.eps = static_cast<float>(rule.eps);
    rates.l2 = static_cast<float>(rule.l2);
    rates.first = static_cast<float>(1 - rule.beta1);
    rates.second = static_cast<float>(1 - rule.beta2);
    const auto corrected = [&](double lr) {
        return static_cast<float>(lr * std::sqrt(1 - std::pow(rule.beta2, step)) / (1 - std::pow(rule.beta1, step)));
    };
    rates.adam = corrected(rule.lr);
    rates.scale_lr = static_cast<float>(rule.scale_lr);
    rates.scale_adam = corrected(rule.scale_lr);
    const double codes = static_cast<double>(rule.batch) * static_cast<double>(unit) * kGreatestCode;
    rates.scale_gradient = static_cast<float>(1 / std::sqrt(codes));
    return rates;
}

// All before the first step: a bad address leaves everything as it was.
void check_addresses(const int64_t* addresses, int64_t count, int64_t total) {
    bool bad = false;
    for (int64_t i = 0; i < count; ++i)  // negative ones are large as unsigned numbers; no branch, so that it is cheap
        bad |= static_cast<uint64_t>(addresses[i]) >= static_cast<uint64_t>(total);
    if (!bad) return;
    const int64_t* first =
        std::find_if(addresses, addresses + count, [&](int64_t address) { return address < 0 || address >= total; });
    fail(PR_ID_ERROR, "address %lld lies outside the %lld rows (or weights) of the regions.", say(*first), say(total));
}

auto chosen_kernel() {
#if defined(__x86_64__)
    switch (level()) {
        case Level::avx512: return update_avx512;
        case Level::avx2: return update_avx2;
        default: break;
    }
#endif
    return update_generic;
}

// Applies pairs begin..end-1 with room of their own for one unit.
void update_part(const UpdateCall& call, int64_t begin, int64_t end) {
    std::vector<float> scratch(call.all_float32 ? 0 : static_cast<size_t>(kScratchPerUnit * call.unit));
    chosen_kernel()(call, begin, end, scratch.data());
}

void update(const UpdateCall& call, int64_t count, int64_t threads) {
    const int64_t most = threads > 1 ? threads * PARTS_PER_THREAD : 1;
    const int64_t parts = std::max<int64_t>(1, std::min(most, count * call.unit / kLeastWeightsPerPart));
    if (parts == 1) {
        update_part(call, 0, count);
        return;
    }
    // Addresses are distinct, so no two parts meet.
    run_parts(parts, [&](int64_t part) { update_part(call, count * part / parts, count * (part + 1) / parts); },
              threads);
}

int64_t unit_bytes(int64_t storage, int64_t unit) {
    switch (storage) {
        case PR_FLOAT32: return unit * 4;
        case PR_INT8: return unit + 8;
        case PR_INT16: return unit * 2 + 8;
        default: return unit * 2;
    }
}

}  // namespace
}  // namespace pocketrec

int pr_update(const pr_rows* regions, int64_t region_count, float* const* state, int64_t unit, const int64_t* addresses,
              const float* grads, int64_t count, const pr_rule* rule, int64_t threads, pr_error* error) {
    using namespace pocketrec;
    return guarded(error, [&] {
        const bool has_state = rule->algorithm != PR_SGD, has_second = rule->algorithm == PR_ADAM;
        const bool learns = rule->scale_lr > 0;
        const int64_t kinds = has_second ? 2 : 1;
        const auto held_of = [&](int64_t kind, int64_t r, bool there) {
            return there ? state[kind * region_count + r] : nullptr;
        };
        std::vector<int64_t> ends;
        std::vector<UpdateRegion> held;
        int64_t total = 0;
        bool all_float32 = true;
        for (int64_t r = 0; r < region_count; ++r) {
            const pr_rows& region = regions[r];
            ends.push_back(total += region.units);
            all_float32 &= region.storage == PR_FLOAT32;
            held.push_back({static_cast<uint8_t*>(region.data), held_of(0, r, has_state), held_of(1, r, has_second),
                            held_of(kinds, r, learns && has_state), held_of(kinds + 1, r, learns && has_second),
                            region.storage, unit_bytes(region.storage, unit)});
        }
        check_addresses(addresses, count, total);
        const uint64_t key = mix(static_cast<uint64_t>(rule->step), static_cast<uint64_t>(rule->seed));
        update({held.data(), ends.data(), region_count, unit, addresses, grads, rule->algorithm, rates_of(*rule, unit), key,
                all_float32, learns},
               count, threads);
    });
}
