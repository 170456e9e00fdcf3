// pr_update: one optimizer step on the touched units; src/pocketrec/native/update.py has the equations.
//
// Rates are rounded to float once, as torch rounds a Python number that meets a float32 tensor; all other arithmetic is
// float32, each operation rounded by itself. The reference differs in the last bit where torch's square root does, and
// in the order of the sum that rowwise_adagrad takes the mean of.
#include <algorithm>
#include <cmath>
#include <vector>

#include "failure.hpp"
#include "pocketrec.h"

namespace pocketrec {
namespace {

struct Rates {
    explicit Rates(const pr_rule& rule)
        : lr(static_cast<float>(rule.lr)),
          eps(static_cast<float>(rule.eps)),
          l2(static_cast<float>(rule.l2)),
          first(static_cast<float>(1 - rule.beta1)),
          second(static_cast<float>(1 - rule.beta2)),
          adam(static_cast<float>(rule.lr * std::sqrt(1 - std::pow(rule.beta2, static_cast<double>(rule.step))) /
                                  (1 - std::pow(rule.beta1, static_cast<double>(rule.step))))) {}

    float lr, eps, l2, first, second, adam;
};

// `grad` is the gradient with L2; `state` points to the numbers of this unit.
void step_sgd(float* weight, const float* grad, int64_t unit, const Rates& rates) {
    for (int64_t d = 0; d < unit; ++d) weight[d] -= rates.lr * grad[d];
}

void step_rowwise_adagrad(float* weight, const float* grad, int64_t unit, float* sum, const Rates& rates) {
    float squares = 0;
    for (int64_t d = 0; d < unit; ++d) squares += grad[d] * grad[d];
    *sum += squares / static_cast<float>(unit);
    const float root = std::sqrt(*sum) + rates.eps;
    for (int64_t d = 0; d < unit; ++d) weight[d] -= rates.lr * (grad[d] / root);
}

void step_adagrad(float* weight, const float* grad, int64_t unit, float* sum, const Rates& rates) {
    for (int64_t d = 0; d < unit; ++d) {
        sum[d] += grad[d] * grad[d];
        weight[d] -= rates.lr * (grad[d] / (std::sqrt(sum[d]) + rates.eps));
    }
}

void step_adam(float* weight, const float* grad, int64_t unit, float* first, float* second, const Rates& rates) {
    for (int64_t d = 0; d < unit; ++d) {
        first[d] += rates.first * (grad[d] - first[d]);
        second[d] += rates.second * (grad[d] * grad[d] - second[d]);
        weight[d] -= rates.adam * (first[d] / (std::sqrt(second[d]) + rates.eps));
    }
}

struct Tables {
    float* const* regions;
    float* const* state;
    int64_t count;
    int64_t unit;
};

void step(const Tables& tables, size_t region, int64_t row, const float* grad, const pr_rule& rule,
          const Rates& rates) {
    const int64_t unit = tables.unit, place = row * unit;
    float* weight = tables.regions[region] + place;
    switch (rule.algorithm) {
        case PR_SGD:
            step_sgd(weight, grad, unit, rates);
            break;
        case PR_ROWWISE_ADAGRAD:
            step_rowwise_adagrad(weight, grad, unit, tables.state[region] + row, rates);
            break;
        case PR_ADAGRAD:
            step_adagrad(weight, grad, unit, tables.state[region] + place, rates);
            break;
        default:
            step_adam(weight, grad, unit, tables.state[region] + place,
                      tables.state[region + static_cast<size_t>(tables.count)] + place, rates);
    }
}

void update(const Tables& tables, const std::vector<int64_t>& ends, const int64_t* addresses, const float* grads,
            int64_t count, const pr_rule& rule) {
    for (int64_t i = 0; i < count; ++i)  // all before the first step: a bad address leaves everything as it was
        if (addresses[i] < 0 || addresses[i] >= ends.back())
            fail(PR_ID_ERROR, "address %lld lies outside the %lld rows (or weights) of the regions.", say(addresses[i]),
                 say(ends.back()));
    const Rates rates(rule);
    std::vector<float> penalised(static_cast<size_t>(tables.unit));
    for (int64_t i = 0; i < count; ++i) {
        const size_t region =
            static_cast<size_t>(std::upper_bound(ends.begin(), ends.end(), addresses[i]) - ends.begin());
        const int64_t row = addresses[i] - (region ? ends[region - 1] : 0);
        const float* grad = grads + i * tables.unit;
        if (rates.l2 != 0) {
            const float* weight = tables.regions[region] + row * tables.unit;
            for (int64_t d = 0; d < tables.unit; ++d)
                penalised[static_cast<size_t>(d)] = grad[d] + rates.l2 * weight[d];
            grad = penalised.data();
        }
        step(tables, region, row, grad, rule, rates);
    }
}

}  // namespace
}  // namespace pocketrec

int pr_update(float* const* regions, const int64_t* region_units, int64_t region_count, float* const* state,
              int64_t unit, const int64_t* addresses, const float* grads, int64_t count, const pr_rule* rule,
              pr_error* error) {
    return pocketrec::guarded(error, [&] {
        std::vector<int64_t> ends;
        int64_t total = 0;
        for (int64_t r = 0; r < region_count; ++r) ends.push_back(total += region_units[r]);
        pocketrec::update({regions, state, region_count, unit}, ends, addresses, grads, count, *rule);
    });
}
