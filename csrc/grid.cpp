#include "grid.hpp"

#include <algorithm>

#include "mix.hpp"
#include "sketched.hpp"

namespace pocketrec {
namespace {

constexpr int64_t kBuckets = int64_t{1} << 32, kPairIds = int64_t{1} << 31;
constexpr int64_t kWorthPairs = 32;  // batch rows from which on the divisions of add_pair are earned back

// Where id 0 has no row and nothing is folded, it goes the way of padding, if that is free.
bool leaves_out_zero(const Field& field) {
    return field.kind == PR_ROW && field.b == 1 && field.a < 0 && field.padding == -1;
}

bool is_single(const Field& field) {
    if (field.kind == PR_ROW) return !field.b || leaves_out_zero(field);
    return field.kind == PR_HASH && field.size < kBuckets;
}

// A row is a pair of its number and the null address: x is the id, which is divided by 1.
bool is_pair(const Field& field) {
    if (field.kind == PR_ROW) return !field.b && field.size <= kPairIds && field.a >= 0 && field.a < field.size;
    return field.kind == PR_QUOTIENT_REMAINDER && field.n <= kPairIds;
}

bool is_beside(const Field& field, const Field& first) {
    return field.kind == PR_SKETCHED && field.size == first.size && field.a == first.a && field.b == first.b;
}

// 2^64 * numerator / divisor, rounded up, for numerator < divisor <= 2^31: a long division in two digits.
uint64_t fraction(uint64_t numerator, uint64_t divisor) {
    const uint64_t high = (numerator << 32) / divisor, rest = (numerator << 32) % divisor;
    return (high << 32) + ((rest << 32) + divisor - 1) / divisor;
}

int64_t has_padding(const Field& field) {
    return field.padding == -1 ? 0 : -1;
}

}  // namespace

Grid::Grid(const pr_request& request, const std::vector<Field>& fields, const std::vector<Addressing>& prepared)
    : request_(request), fields_(fields), prepared_(prepared) {
    if (!gather().grid || !are_side_by_side()) return;
    if (request.parts == 1 && std::all_of(fields.begin(), fields.end(), is_single))
        for (size_t f = 0; f < fields.size(); ++f) add_single(f);
    if (request.parts == 1 && request.fields >= kLeastRow && fields[0].size < kBuckets &&
        std::all_of(fields.begin(), fields.end(), [&](const Field& field) { return is_beside(field, fields[0]); }))
        for (size_t f = 0; f < fields.size(); ++f) add_sketched(f);
    if (request.parts == 2 && request.batch >= kWorthPairs && std::all_of(fields.begin(), fields.end(), is_pair))
        for (size_t f = 0; f < fields.size(); ++f) add_pair(f);
}

bool Grid::are_side_by_side() const {
    int64_t column = fields_[0].column;
    return std::all_of(fields_.begin(), fields_.end(), [&](const Field& field) { return field.column == column++; });
}

void Grid::set(size_t f, std::initializer_list<int64_t> numbers, std::initializer_list<uint64_t> words) {
    const size_t count = fields_.size();
    numbers_.resize(numbers.size() * count);
    words_.resize(words.size() * count);
    size_t place = f;
    for (const int64_t number : numbers) numbers_[place] = number, place += count;
    place = f;
    for (const uint64_t word : words) words_[place] = word, place += count;
}

void Grid::add_single(size_t f) {
    const Field& field = fields_[f];
    const bool hashed = field.kind == PR_HASH, zero = leaves_out_zero(field);
    const uint64_t seed = static_cast<uint64_t>(field.seed), buckets = static_cast<uint64_t>(field.size);
    const int64_t other = hashed ? field.start + field.a : row_fold(field), own = hashed ? field.start : field.start - field.b;
    set(f, {own, hashed ? field.a : field.size, other, zero ? 0 : field.padding, zero ? -1 : has_padding(field), field.last},
        {added(seed), flipped(seed), hashed ? buckets : 0});
    hashes_ = hashes_ || hashed;
}

void Grid::add_sketched(size_t f) {
    const uint64_t seed = static_cast<uint64_t>(fields_[f].seed);
    set(f, {}, {added(seed), flipped(seed)});
    sketched_ = true;
}

void Grid::add_pair(size_t f) {
    const Field& field = fields_[f];
    const bool row = field.kind == PR_ROW;
    const int64_t n = row ? field.size : field.n, size = row ? 1 : std::min(field.size, kPairIds);  // x is below kPairIds
    const uint64_t slope = fraction(static_cast<uint64_t>(row ? 1 % n : field.p % n), static_cast<uint64_t>(n));
    const uint64_t offset = fraction(static_cast<uint64_t>(row ? 0 : field.q % n), static_cast<uint64_t>(n));
    const ShortDivider by_size(static_cast<uint64_t>(size));
    set(f, {n, row ? field.a : 0, field.start, row ? -1 : field.a, field.padding, has_padding(field), field.last},
        {slope, offset, static_cast<uint64_t>(size), by_size.factor, by_size.shift});
}

int64_t Grid::find_together(const int64_t* ids, int64_t count, int64_t* out) const {
    const size_t fields = fields_.size();
    const auto numbers = [&](size_t number) { return numbers_.data() + number * fields; };
    const auto words = [&](size_t word) { return words_.data() + word * fields; };
    if (sketched_) return find_in_sketch({fields_.data(), request_.fields, words(0), words(1)}, request_, ids, count, out);
    if (request_.parts == 1) {
        const GridRules rules{request_.fields, hashes_, numbers(0), numbers(1), numbers(2), words(0), words(1), words(2),
                              numbers(3), numbers(4), numbers(5)};
        return gather().grid(rules, ids, request_.columns, count, out);
    }
    const PairRules rules{request_.fields, numbers(0), numbers(1), numbers(2), numbers(3), words(0), words(1), words(2),
                          words(3), words(4), numbers(4), numbers(5), numbers(6)};
    return gather().pairs(rules, ids, request_.columns, count, out);
}

void Grid::find(int64_t first, int64_t count, int64_t* out) const {
    const int64_t columns = request_.columns, parts = request_.parts, width = request_.fields * parts;
    const int64_t* ids = request_.ids + first * columns;
    if (!words_.empty() && find_together(ids + fields_[0].column, count, out) == count) return;
    for (const Addressing& field : prepared_) {
        if (find_addresses(field, request_, {ids + field.field.column, columns, count}, out, width) < count)
            refuse_first_outside(request_, fields_);
        out += parts;
    }
}

}  // namespace pocketrec
