#include "sparse.hpp"

#include <algorithm>
#include <cstring>

#include "failure.hpp"

namespace pocketrec {
namespace {

constexpr int64_t kValueBytes = 2;

template <class Number>
Number number_at(const uint8_t* bytes) {
    Number number;
    std::memcpy(&number, bytes, sizeof number);
    return number;
}

// Exact: a float16 is a float. Without the instruction that does it, since a row has few of them.
float float_of(uint16_t half) {
    // The magnitude is read as if its exponent were that of a float, and 2^112 makes up for the other bias.
    const uint32_t special = (half & 0x7C00u) == 0x7C00u ? 0x7F800000u : 0u;
    uint32_t bits = (half & 0x7FFFu) << 13;
    float magnitude;
    std::memcpy(&magnitude, &bits, sizeof bits);
    magnitude *= 0x1p112f;
    std::memcpy(&bits, &magnitude, sizeof bits);
    bits |= special | (half & 0x8000u) << 16;
    if (special && (half & 0x03FFu)) bits |= 0x00400000u;  // NaN is quiet, as that instruction makes it
    std::memcpy(&magnitude, &bits, sizeof bits);
    return magnitude;
}

}  // namespace

SparseStore::SparseStore(const pr_region& index, const pr_region& entries, int64_t dim)
    : index_(index.data), entries_(static_cast<const uint8_t*>(entries.data)), blocks_(index.rows - 1),
      count_(entries.rows), dim_(dim), shift_(0),
      is_wide_(index.storage == PR_WIDE_SPARSE8 || index.storage == PR_WIDE_SPARSE16),
      has_short_places_(index.storage == PR_SPARSE8 || index.storage == PR_WIDE_SPARSE8) {
    const int64_t places = has_short_places_ ? 1 << 8 : 1 << 16;
    if (entries.storage != PR_ENTRIES || blocks_ < 0 || count_ < 0 || dim < 1 || dim > places)
        fail(PR_VALUE_ERROR, "a sparse store needs an index, entries behind it, and a dim of at most %lld, got %lld.",
             say(places), say(dim));
    while (dim << (shift_ + 1) <= places) ++shift_;
}

template <class Index, class Place>
void SparseStore::read_as(int64_t row, float* out) const {
    constexpr int64_t kBytes = sizeof(Place) + kValueBytes;
    const Index* span = static_cast<const Index*>(index_) + (row >> shift_);
    const int64_t begin = span[0], end = span[1];
    if (begin < 0 || begin > end || end > count_ || end - begin > dim_ << shift_)
        fail(PR_VALUE_ERROR,
             "the entries of a block of a sparse store run from %lld to %lld; they must lie within its %lld entries, and be "
             "no more than the block has numbers.",
             say(begin), say(end), say(count_));
    std::fill_n(out, dim_, 0.0f);
    const int64_t first = (row & ((int64_t{1} << shift_) - 1)) * dim_;
    const uint8_t* entry = entries_ + begin * kBytes;
    for (int64_t left = end - begin; left > 0;) {  // the first entry whose place is not before the row's
        const int64_t half = left / 2;
        const bool is_before = number_at<Place>(entry + half * kBytes) < first;
        entry = is_before ? entry + (half + 1) * kBytes : entry;
        left = is_before ? left - half - 1 : half;
    }
    for (const uint8_t* last = entries_ + end * kBytes; entry < last; entry += kBytes) {
        const int64_t column = number_at<Place>(entry) - first;
        if (column < 0 || column >= dim_) break;
        out[column] = float_of(number_at<uint16_t>(entry + sizeof(Place)));
    }
}

void SparseStore::read(int64_t row, float* out) const {
    if (is_wide_) return has_short_places_ ? read_as<int64_t, uint8_t>(row, out) : read_as<int64_t, uint16_t>(row, out);
    return has_short_places_ ? read_as<int32_t, uint8_t>(row, out) : read_as<int32_t, uint16_t>(row, out);
}

}  // namespace pocketrec
