// From one id to its vector: addresses, regions and combining together.
#pragma once

#include <cstdint>
#include <vector>

#include "program.hpp"
#include "regions.hpp"

namespace pocketrec {

// Calls visit(element, address, negative) for the dim weights of an id whose blocks start at `starts`.
template <class Visit>
void for_each_weight(const Field& field, int64_t id, const int64_t* starts, int64_t dim, Visit visit) {
    const bool has_signs = field.kind == PR_BLOCK && (field.b & PR_SIGN);
    for (int64_t block = 0, element = 0; element < dim; ++block) {
        const uint64_t salted = has_signs ? block_hash(field, id, block) ^ kSignSalt : 0;
        const int64_t end = std::min(dim, element + field.a);
        int64_t weight = starts[block] - field.start;
        uint64_t signs = 0;
        for (int64_t j = 0; element < end; ++j, ++element) {
            if (has_signs && j % 64 == 0) signs = mix(salted, static_cast<uint64_t>(1 + j / 64));
            visit(element, field.start + weight, (signs >> (j % 64)) & 1);
            if (++weight == field.size) weight = 0;
        }
    }
}

// Reads vectors; holds the scratch space of one call.
class Reader {
  public:
    explicit Reader(const pr_request& request)
        : request_(request),
          regions_(request),
          addresses_(static_cast<size_t>(request.parts)),
          part_(static_cast<size_t>(request.dim)) {}

    const Regions& regions() const { return regions_; }

    // The addresses of an id, valid until the next call.
    const int64_t* addresses(const Field& field, int64_t id) {
        find_addresses(field, id, request_, addresses_.data());
        return addresses_.data();
    }

    // Writes the vector of an id that is not padding, float [dim].
    void read(const Field& field, int64_t id, float* out) {
        const int64_t* found = addresses(field, id);
        const int64_t dim = request_.dim;
        if (request_.combining == PR_CONCAT) {
            for_each_weight(field, id, found, dim, [&](int64_t element, int64_t address, bool negative) {
                const float weight = regions_.read_weight(address);
                out[element] = negative ? -weight : weight;
            });
            return;
        }
        regions_.read_row(found[0], dim, out);
        for (int64_t p = 1; p < request_.parts; ++p) {
            if (found[p] < 0) continue;  // a kind with fewer parts: the others stand alone
            regions_.read_row(found[p], dim, part_.data());
            if (request_.combining == PR_SUM)
                for (int64_t d = 0; d < dim; ++d) out[d] += part_[static_cast<size_t>(d)];
            else
                for (int64_t d = 0; d < dim; ++d) out[d] *= part_[static_cast<size_t>(d)];
        }
    }

  private:
    const pr_request& request_;
    Regions regions_;
    std::vector<int64_t> addresses_;
    std::vector<float> part_;
};

}  // namespace pocketrec
