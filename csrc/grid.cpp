#include "grid.hpp"

#include "mix.hpp"

namespace pocketrec {
namespace {

constexpr int64_t kBuckets = int64_t{1} << 32;

bool fits(const Field& field) {
    return field.kind == PR_ROW || (field.kind == PR_HASH && field.size < kBuckets);
}

}  // namespace

Grid::Grid(const pr_request& request, const std::vector<Field>& fields, const std::vector<Addressing>& prepared)
    : request_(request), fields_(fields), prepared_(prepared) {
    if (!gather().grid || !are_done_together()) return;
    const size_t count = fields.size();
    numbers_.resize(6 * count);
    words_.resize(3 * count);
    for (size_t f = 0; f < count; ++f) {
        const Field& field = fields[f];
        const bool hashed = field.kind == PR_HASH;
        const int64_t fold = field.a < 0 ? -1 : field.start + field.a, has_padding = field.padding == -1 ? 0 : -1;
        const int64_t numbers[] = {field.start, hashed ? field.a : field.size, fold, field.padding, has_padding, field.last};
        const uint64_t seed = static_cast<uint64_t>(field.seed);
        const uint64_t words[] = {added(seed), flipped(seed), hashed ? static_cast<uint64_t>(field.size) : 0};
        for (size_t number = 0; number < 6; ++number) numbers_[number * count + f] = numbers[number];
        for (size_t word = 0; word < 3; ++word) words_[word * count + f] = words[word];
        hashes_ = hashes_ || hashed;
    }
}

// Whether all fields have one address per id of a kind that Gather::grid knows, and read columns side by side.
bool Grid::are_done_together() const {
    int64_t column = fields_[0].column;
    for (const Field& field : fields_)
        if (!fits(field) || field.column != column++) return false;
    return request_.parts == 1;
}

GridRules Grid::rules() const {
    const size_t count = fields_.size();
    const int64_t* number = numbers_.data();
    const uint64_t* word = words_.data();
    return {static_cast<int64_t>(count), hashes_, number, number + count, number + 2 * count, word, word + count,
            word + 2 * count, number + 3 * count, number + 4 * count, number + 5 * count};
}

void Grid::find(int64_t first, int64_t count, int64_t* out) const {
    const int64_t columns = request_.columns, parts = request_.parts, width = request_.fields * parts;
    const int64_t* ids = request_.ids + first * columns;
    if (!numbers_.empty() && gather().grid(rules(), ids + fields_[0].column, columns, count, out) == count) return;
    for (const Addressing& field : prepared_) {
        if (find_addresses(field, request_, {ids + field.field.column, columns, count}, out, width) < count)
            refuse_first_outside(request_, fields_);
        out += parts;
    }
}

}  // namespace pocketrec
