// pr_lookup: ids to vectors. Every number is summed in value order, so results do not depend on how a batch is cut.
#include <algorithm>

#include "cells.hpp"
#include "chain.hpp"
#include "failure.hpp"
#include "threads.hpp"
#include "windows.hpp"

namespace pocketrec {
namespace {

constexpr int64_t kTile = 2048;   // addresses that are found before their vectors are read; 16 KiB
constexpr int64_t kPoolTile = 64;  // vectors that are read before they are pooled

class Lookup {
  public:
    Lookup(const pr_request& request, float* out) : call_(request), request_(call_.request), out_(out) {}

    void run() {
        if (request_.offsets && request_.pooling == PR_POOL_NONE)
            std::fill(out_, out_ + request_.columns * request_.dim, 0.0f);
        const int64_t parts = call_.parts();
        run_parts(parts, [&](int64_t part) {
            const int64_t begin = request_.batch * part / parts, end = request_.batch * (part + 1) / parts;
            if (request_.offsets) {
                Reader reader(request_, call_.fields, call_.regions);
                return bags(reader, begin, end);
            }
            Cells(call_).read(begin, end, out_ + begin * request_.fields * request_.dim, call_.is_streamed(out_));
        }, request_.threads);
    }

  private:
    // Bags [begin, end) of every field.
    void bags(Reader& reader, int64_t begin, int64_t end) const {
        const int64_t dim = request_.dim, most = std::max(int64_t{1}, std::min(kPoolTile, kTile / request_.parts));
        const bool pools = request_.pooling != PR_POOL_NONE;
        std::vector<float> vectors(static_cast<size_t>(pools ? most * dim : 0));
        if (pools) std::fill(out_ + begin * request_.fields * dim, out_ + end * request_.fields * dim, 0.0f);
        const float* begun = nullptr;  // the output that has a greatest value already
        for_each_window(request_, call_.prepared, begin, end, most, [&](const Window& window) {
            float* to = pools ? vectors.data() : out_ + window.first * dim;
            reader.vectors(*window.addressing, window.run(request_), to);
            if (!pools) return;
            for_each_part_of_bag(window, [&](int64_t bag, int64_t first, int64_t last) {
                pool(window, bag, first, last, vectors.data(), begun);
            });
        });
    }

    // Adds the vectors of a part of a bag to its output, and divides by their number after the last.
    void pool(const Window& window, int64_t bag, int64_t first, int64_t last, const float* vectors,
              const float*& begun) const {
        const int64_t dim = request_.dim, begin = window.starts[bag], end = window.starts[bag + 1];
        float* out = out_ + (bag * request_.fields + window.number) * dim;
        for (int64_t i = first; i < last; ++i) {
            const int64_t value = window.first + i;
            if (window.field().is_padding(request_.ids[value])) continue;
            if (request_.pooling == PR_POOL_MAX)
                keep_greatest(vectors + i * dim, out, begun);
            else
                gather().add_scaled(vectors + i * dim, request_.weights ? request_.weights[value] : 1.0f, dim, out);
        }
        if (request_.pooling != PR_POOL_MEAN || window.first + last < end) return;
        const int64_t count = count_values(request_, window.field(), begin, end);
        if (!count) return;
        for (int64_t d = 0; d < dim; ++d) out[d] /= static_cast<float>(count);
    }

    void keep_greatest(const float* vector, float* out, const float*& begun) const {
        const bool first = begun != out;
        begun = out;
        for (int64_t d = 0; d < request_.dim; ++d)
            if (first || is_greater(vector[d], out[d])) out[d] = vector[d];
    }

    const Call call_;
    const pr_request& request_;
    float* out_;
};

}  // namespace
}  // namespace pocketrec

int pr_lookup(const pr_request* request, float* out, pr_error* error) {
    return pocketrec::guarded(error, [&] {
        if (request->combining == PR_CONTRACT) return pocketrec::chain_lookup(*request, out);
        pocketrec::Lookup(*request, out).run();
    });
}
