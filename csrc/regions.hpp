// The regions of one call as one range of addresses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "gather.hpp"
#include "pocketrec.h"
#include "sparse.hpp"

namespace pocketrec {

class Regions {
  public:
    explicit Regions(const pr_request& request);

    int64_t total() const { return total_; }

    // The storage of all regions, or -1 when they differ or are sparse stores.
    int64_t storage() const { return storage_; }

    // Where the rows of one region lie that is no sparse store, whose addresses are places.
    Memory memory() const { return {bases_[0], bytes_[0], total_}; }

    bool is_one() const { return bases_.size() == 1; }

    // For several regions: places[i] = where the row at addresses[i] begins, as a place of `anywhere`; negative addresses as
    // they are. Rows of sparse stores have no place, and get one that means nothing. Throws PR_ID_ERROR beyond the regions.
    void find_places(const int64_t* addresses, int64_t count, int64_t* places) const;

    static Memory anywhere() { return {nullptr, 1, INT64_MAX}; }

    // The storage of the row at an address within the regions.
    int64_t storage_of(int64_t address) const;

    // Reads the row at an address within the regions whose storage is that of a sparse store's index; float [dim].
    void read_sparse(int64_t address, float* out) const;

    // The one region that blocks are drawn from.
    const uint8_t* array() const { return bases_[0]; }

    [[noreturn]] void refuse(int64_t address) const;

  private:
    size_t number_of(int64_t address) const;

    std::vector<const uint8_t*> bases_;
    std::vector<int64_t> storages_, bytes_;  // of a row
    std::vector<int64_t> ends_;              // of each region, as addresses
    std::vector<SparseStore> stores_;        // in the order of the regions
    int64_t total_ = 0;
    int64_t storage_ = -1;
};

}  // namespace pocketrec
