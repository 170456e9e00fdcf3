// Rows out of a packed sparse store. Definition: src/pocketrec/native/sparse.py.
#pragma once

#include <cstdint>

#include "pocketrec.h"

namespace pocketrec {

// An index and its entries. Their numbers may be anything: what lies outside is refused when it is met.
class SparseStore {
  public:
    static bool is_index(int64_t storage) { return storage >= PR_SPARSE8 && storage <= PR_WIDE_SPARSE16; }

    // Throws PR_VALUE_ERROR where these are not an index and its entries, or rows of dim numbers are too long.
    SparseStore(const pr_region& index, const pr_region& entries, int64_t dim);

    // Addresses: rows of all blocks.
    int64_t rows() const { return blocks_ << shift_; }

    // out: float [dim]. The row is one of rows(). Throws PR_VALUE_ERROR where the entries of its block lie outside.
    void read(int64_t row, float* out) const;

  private:
    template <class Index, class Place>
    void read_as(int64_t row, float* out) const;

    const void* index_;
    const uint8_t* entries_;
    int64_t blocks_, count_, dim_;
    int shift_;  // log2 of the rows of a block
    bool is_wide_, has_short_places_;
};

}  // namespace pocketrec
