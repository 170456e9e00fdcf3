// Batch rows of fields that look into one sketch: all ids of a row are read side by side, and the buckets of the next
// rows are on their way meanwhile.
#include "sketched.hpp"

#include <vector>

#include "gather.hpp"

namespace pocketrec {
namespace {

constexpr int64_t kAhead = 2;  // batch rows whose buckets are on their way

template <class Map>
int64_t find(const SketchRules& rules, const Map* maps, const int64_t* ids, int64_t columns, int64_t count,
             int64_t* out) {
    const int64_t fields = rules.count, words = 3 * rules.fields[0].a;
    const Map* sketch = maps + rules.fields[0].b;
    const uint64_t buckets = static_cast<uint64_t>(rules.fields[0].size);
    std::vector<int64_t> homes(static_cast<size_t>((kAhead + 1) * fields));
    std::vector<int32_t> tags(homes.size());
    const auto fetch = [&](int64_t i) {
        const int64_t place = i % (kAhead + 1) * fields;
        int64_t* own = homes.data() + place;
        gather().tag_row(rules.added, rules.flipped, buckets, ids + i * columns, fields, own, tags.data() + place);
        for (int64_t f = 0; f < fields; ++f) {
            __builtin_prefetch(sketch + own[f] * words);
            __builtin_prefetch(sketch + own[f] * words + words - 1);
        }
    };
    for (int64_t i = 0; i < kAhead && i < count; ++i) fetch(i);
    for (int64_t i = 0; i < count; ++i, out += fields) {
        if (i + kAhead < count) fetch(i + kAhead);
        const int64_t place = i % (kAhead + 1) * fields;
        const int64_t* row = ids + i * columns;
        for (int64_t f = 0; f < fields; ++f) {
            const Field& field = rules.fields[f];
            const size_t own = static_cast<size_t>(place + f);
            if (field.is_padding(row[f]))
                out[f] = -1;
            else if (!field.takes(row[f]))
                return i;
            else
                out[f] = sketched_address(field, sketch + homes[own] * words, tags[own]);
        }
    }
    return count;
}

}  // namespace

int64_t find_in_sketch(const SketchRules& rules, const pr_request& request, const int64_t* ids, int64_t count,
                       int64_t* out) {
    if (request.map_bytes == 4)
        return find(rules, static_cast<const int32_t*>(request.maps), ids, request.columns, count, out);
    return find(rules, static_cast<const int64_t*>(request.maps), ids, request.columns, count, out);
}

}  // namespace pocketrec
