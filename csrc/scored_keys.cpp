// pr_scored_keys: keys and scores of a sketch; src/pocketrec/native/scored_keys.py is the definition.
#include <limits>
#include <vector>

#include "failure.hpp"
#include "mix.hpp"
#include "pocketrec.h"

namespace pocketrec {
namespace {

// What all values of a table share.
struct Table {
    uint64_t added, flipped;  // the seed's part in mix
    int64_t last;
    double sum = 0;
    int64_t count = 0;
    float divisor = 0;
};

std::vector<Table> tables_of(const pr_occurrences& of) {
    std::vector<Table> tables;
    for (int64_t t = 0; t < of.table_count; ++t) {
        const uint64_t seed = static_cast<uint64_t>(of.seeds[t]);
        tables.push_back({added(seed), flipped(seed), of.lasts[t]});
    }
    for (int64_t i = 0; i < of.count; ++i) {
        if (of.tables[i] < 0 || of.tables[i] >= of.table_count)
            fail(PR_VALUE_ERROR, "tables must lie in 0..%lld; number %lld is %lld.", say(of.table_count - 1), say(i),
                 say(of.tables[i]));
        Table& table = tables[static_cast<size_t>(of.tables[i])];
        if (of.ids[i] > table.last) continue;
        table.sum += static_cast<double>(of.importance[i]);
        ++table.count;
    }
    for (Table& table : tables) {
        const double mean = table.sum / static_cast<double>(table.count);
        table.divisor = mean > 0 ? static_cast<float>(mean) : std::numeric_limits<float>::infinity();
    }
    return tables;
}

int64_t scored_keys(const pr_occurrences& of, int64_t* keys, float* scores, int64_t* values) {
    const std::vector<Table> tables = tables_of(of);
    int64_t kept = 0;
    for (int64_t i = 0; i < of.count; ++i) {
        const Table& table = tables[static_cast<size_t>(of.tables[i])];
        // Written in any case: what is left out is written over, and a jump would be guessed wrong.
        keys[kept] = static_cast<int64_t>(fin(fin(static_cast<uint64_t>(of.ids[i]) + table.added) ^ table.flipped));
        scores[kept] = of.importance[i] / table.divisor;
        values[kept] = i;
        kept += of.ids[i] <= table.last;
    }
    return kept;
}

}  // namespace
}  // namespace pocketrec

int pr_scored_keys(const pr_occurrences* of, int64_t* keys, float* scores, int64_t* values, int64_t* kept,
                   pr_error* error) {
    return pocketrec::guarded(error, [&] { *kept = pocketrec::scored_keys(*of, keys, scores, values); });
}
