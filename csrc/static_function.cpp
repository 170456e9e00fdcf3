// pr_static_function: the words of a function of keys; src/pocketrec/native/static_function.py is the definition.
#include "static_function.hpp"

#include <algorithm>
#include <vector>

#include "failure.hpp"
#include "pocketrec.h"

namespace pocketrec {
namespace {

// An equation: the slots from `start` on whose bits are set have the value `value` in sum.
struct Equation {
    int64_t start;
    uint64_t slots;
    uint64_t value;
};

// The equations in rows, at most one that begins at each slot (slots 0: none); false where two of them contradict.
bool eliminated(std::vector<Equation>& equations, std::vector<Equation>& rows) {
    std::fill(rows.begin(), rows.end(), Equation{});
    for (Equation of : equations) {
        for (;;) {
            Equation& row = rows[static_cast<size_t>(of.start)];
            if (!row.slots) {
                row = of;
                break;
            }
            of.slots ^= row.slots;
            of.value ^= row.value;
            if (!of.slots) {
                if (of.value) return false;
                break;  // the others say as much
            }
            const int ahead = __builtin_ctzll(of.slots);
            of.slots >>= ahead;
            of.start += ahead;
        }
    }
    return true;
}

// From the last slot to the first: those behind it are known, those that no row begins at are 0.
void substitute(const std::vector<Equation>& rows, int64_t bits, int32_t* words) {
    std::vector<uint64_t> behind(static_cast<size_t>(bits), 0);  // bit i: slot + i
    for (int64_t slot = static_cast<int64_t>(rows.size()) - 1; slot >= 0; --slot) {
        const Equation& row = rows[static_cast<size_t>(slot)];
        int32_t* block = words + slot / kSlotsPerBlock * bits;
        for (int64_t bit = 0; bit < bits; ++bit) {
            uint64_t& known = behind[static_cast<size_t>(bit)];
            known <<= 1;
            const uint64_t own = row.slots ? (row.value >> bit & 1) ^ static_cast<uint64_t>(__builtin_parityll(known & row.slots)) : 0;
            known |= own;
            block[bit] |= static_cast<int32_t>(static_cast<uint32_t>(own) << slot % kSlotsPerBlock);
        }
    }
}

void check(const pr_function& of) {
    if (of.bits < 1 || of.bits > PR_MOST_FUNCTION_BITS)
        fail(PR_VALUE_ERROR, "bits must lie in 1..%d, got %lld.", PR_MOST_FUNCTION_BITS, say(of.bits));
    for (int64_t i = 0; i < of.count; ++i)
        if (static_cast<uint64_t>(of.values[i]) >> of.bits)
            fail(PR_VALUE_ERROR, "values must lie in 0..2**%lld - 1; number %lld is %lld.", say(of.bits), say(i),
                 say(of.values[i]));
}

// By their start, so that rows are read in order.
void equations_of(const pr_function& of, uint64_t seed, int64_t starts, std::vector<Equation>& out) {
    for (int64_t i = 0; i < of.count; ++i) {
        const auto [start, slots] = StaticFunction::ribbon(static_cast<uint64_t>(of.keys[i]), seed, starts);
        out[static_cast<size_t>(i)] = {start, slots, static_cast<uint64_t>(of.values[i])};
    }
    std::stable_sort(out.begin(), out.end(), [](const Equation& a, const Equation& b) { return a.start < b.start; });
}

void static_function(const pr_function& of, int32_t* words) {
    check(of);
    if (!of.count) return;
    const int64_t slots = StaticFunction::slots_of(of.count);
    std::vector<Equation> equations(static_cast<size_t>(of.count)), rows(static_cast<size_t>(slots));
    for (int32_t seed = 0; seed < PR_FUNCTION_SEEDS; ++seed) {
        equations_of(of, static_cast<uint64_t>(seed), slots - kRibbon, equations);
        if (!eliminated(equations, rows)) continue;
        std::fill_n(words, StaticFunction::words_of(of.count, of.bits), 0);
        words[0] = seed;
        substitute(rows, of.bits, words + 1);
        return;
    }
    fail(PR_VALUE_ERROR, "%lld keys have no function: two of them are equal and have different values.", say(of.count));
}

}  // namespace
}  // namespace pocketrec

int pr_static_function(const pr_function* function, int32_t* words, pr_error* error) {
    return pocketrec::guarded(error, [&] { pocketrec::static_function(*function, words); });
}
