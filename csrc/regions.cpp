#include "regions.hpp"

#include <algorithm>

#include "failure.hpp"

namespace pocketrec {

Regions::Regions(const pr_request& request) {
    for (int64_t r = 0; r < request.region_count; ++r) {
        const pr_region& region = request.regions[r];
        const bool codes = region.storage >= PR_INT4;  // int8 and int16, too
        total_ += request.combining == PR_CONCAT && codes ? region.rows * PR_WEIGHTS_PER_SCALE : region.rows;
        bases_.push_back(static_cast<const uint8_t*>(region.data));
        storages_.push_back(region.storage);
        bytes_.push_back(row_bytes({region.storage, request.dim}));
        ends_.push_back(total_);
    }
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
