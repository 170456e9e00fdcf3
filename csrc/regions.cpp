#include "regions.hpp"

#include <algorithm>

#include "failure.hpp"

namespace pocketrec {

Regions::Regions(const pr_request& request) {
    for (int64_t r = 0; r < request.region_count; ++r) {
        const pr_region& region = request.regions[r];
        const bool codes = region.storage == PR_INT4 || region.storage == PR_INT8 || region.storage == PR_INT16;
        const bool sparse = SparseStore::is_index(region.storage), entries = region.storage == PR_ENTRIES;
        if (sparse) {
            const pr_region none{};
            stores_.emplace_back(region, r + 1 < request.region_count ? request.regions[r + 1] : none, request.dim);
            total_ += stores_.back().rows();
        } else if (!entries) {
            total_ += request.combining == PR_CONCAT && codes ? region.rows * PR_WEIGHTS_PER_SCALE : region.rows;
        }
        bases_.push_back(static_cast<const uint8_t*>(region.data));
        storages_.push_back(region.storage);
        bytes_.push_back(sparse || entries ? 0 : row_bytes({region.storage, request.dim}));
        ends_.push_back(total_);
    }
    if (!stores_.empty() && (request.combining == PR_CONCAT || request.combining == PR_CONTRACT))
        fail(PR_VALUE_ERROR, "blocks, and slices of cores, cannot be read from a sparse store.");
    if (!stores_.empty()) return;
    const auto is_first = [&](int64_t storage) { return storage == storages_[0]; };
    if (!storages_.empty() && std::all_of(storages_.begin(), storages_.end(), is_first)) storage_ = storages_[0];
}

void Regions::refuse(int64_t address) const {
    fail(PR_ID_ERROR, "address %lld lies beyond the %lld rows (or weights) of the regions.", say(address), say(total_));
}

size_t Regions::number_of(int64_t address) const {
    return static_cast<size_t>(std::upper_bound(ends_.begin(), ends_.end(), address) - ends_.begin());
}

int64_t Regions::storage_of(int64_t address) const {
    return storages_[number_of(address)];
}

void Regions::read_sparse(int64_t address, float* out) const {
    const size_t number = number_of(address);
    const auto is_before = [](int64_t storage) { return SparseStore::is_index(storage); };
    const auto before = std::count_if(storages_.begin(), storages_.begin() + static_cast<ptrdiff_t>(number), is_before);
    stores_[static_cast<size_t>(before)].read(address - (number ? ends_[number - 1] : 0), out);
}

void Regions::find_places(const int64_t* addresses, int64_t count, int64_t* places) const {
    for (int64_t i = 0; i < count; ++i) {
        const int64_t address = addresses[i];
        if (address >= total_) refuse(address);
        places[i] = address;
        if (address < 0) continue;
        const size_t number = number_of(address);
        const uint8_t* row = bases_[number] + (address - (number ? ends_[number - 1] : 0)) * bytes_[number];
        places[i] = static_cast<int64_t>(reinterpret_cast<uintptr_t>(row));
    }
}

}  // namespace pocketrec
