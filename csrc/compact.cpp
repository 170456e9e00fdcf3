// pr_compact: the gradient of a lookup to distinct (address, gradient) pairs. Duplicates are summed in value order, so
// that results do not depend on the number of threads.
//
// Rows in two passes: one finds the place of every value's address among the distinct ones, the other adds the gradients,
// each thread to places of its own. Blocks: compact_blocks.cpp.
#include <algorithm>
#include <memory>

#include "chain.hpp"
#include "compact_blocks.hpp"
#include "gather.hpp"
#include "gradient.hpp"
#include "slots.hpp"
#include "threads.hpp"

namespace pocketrec {
namespace {

constexpr int64_t kTile = 2048;
constexpr int64_t kNumbersPerPart = 1 << 16;  // a thread is worth waking for about this many numbers

class CompactRows {
  public:
    // found: addresses of all values, or NULL: then they are looked for.
    CompactRows(const Gradient& gradient, const int64_t* found, int64_t* addresses, float* grads, float* squares)
        : gradient_(gradient),
          request_(gradient.request()),
          values_(gradient.values()),
          most_(most_places(found)),
          slots_(most_, addresses),
          grads_(grads),
          squares_(squares),
          own_(found ? nullptr : new int64_t[static_cast<size_t>(values_ * request_.parts)]),
          found_(found ? found : own_.get()),
          places_(new int32_t[static_cast<size_t>(values_ * request_.parts)]),
          last_(new int32_t[static_cast<size_t>(values_ * request_.parts)]) {}

    int64_t run() {
        if (!most_) return 0;  // where the ids of others are all that was asked for
        gradient_.for_each_tile(kTile / request_.parts + 1, [&](const Tile& tile) { place(tile); });
        const int64_t worth = 1 + values_ * request_.parts * request_.dim / kNumbersPerPart;
        const int64_t parts = std::max(int64_t{1}, std::min(request_.threads, worth)), count = slots_.count();
        run_parts(parts, [&](int64_t part) {
            const auto cut = [&](int64_t p) { return static_cast<int32_t>(count * p / parts); };
            add(cut(part), cut(part + 1));
        });
        return count;
    }

  private:
    // How many distinct addresses there may be.
    int64_t most_places(const int64_t* found) const {
        const int64_t count = values_ * request_.parts;
        return found ? std::count_if(found, found + count, [](int64_t address) { return address >= 0; }) : count;
    }

    void place(const Tile& tile) {
        const int64_t first = tile.first * request_.parts, count = tile.count * request_.parts;
        if (own_) gradient_.find_addresses_of(tile, own_.get() + first);
        const int64_t total = gradient_.regions().total();
        for (int64_t i = first; i < first + count; ++i)
            if (found_[i] >= total) gradient_.regions().refuse(found_[i]);
        slots_.places(found_ + first, count, places_.get() + first);
        for (int64_t i = first; i < first + count; ++i) {
            const int32_t found = places_[static_cast<size_t>(i)];
            if (found >= 0) last_[static_cast<size_t>(found)] = static_cast<int32_t>(i);
        }
    }

    // Adds up the gradients of places [begin, end).
    void add(int32_t begin, int32_t end) const {
        if (begin == end) return;
        Spread spread(gradient_);
        int32_t next = begin;
        gradient_.for_each_tile(kTile / request_.parts + 1, [&](const Tile& tile) {
            const int64_t first = tile.first * request_.parts;
            const bool product = request_.combining == PR_PRODUCT;
            const int64_t each = product ? 1 : request_.parts;
            const float* const* vectors = product ? spread.products(tile, found_ + first)
                                                  : spread.vectors(tile);
            gather().add_rows({vectors, request_.dim, each, places_.get() + first, begin, end, first, last_.get(), grads_,
                               squares_},
                              tile.count * request_.parts, &next);
        });
    }

    const Gradient& gradient_;
    const pr_request& request_;
    int64_t values_, most_;
    Slots slots_;
    float* grads_;
    float* squares_;
    std::unique_ptr<int64_t[]> own_;
    const int64_t* found_;
    std::unique_ptr<int32_t[]> places_;
    std::unique_ptr<int32_t[]> last_;  // by place: which of all gradients is the last one there
};

int64_t compact(const pr_request& request, const float* grad, const int64_t* found, int64_t capacity, int64_t* addresses,
                float* grads, float* squares) {
    if (request.combining == PR_CONTRACT) {
        if (found) fail(PR_VALUE_ERROR, "addresses that were found are taken for rows, and without offsets.");
        return chain_compact(request, grad, capacity, addresses, grads);
    }
    const Gradient gradient(request, grad);
    const bool blocks = request.combining == PR_CONCAT;
    const int64_t needed = gradient.values() * (blocks ? request.dim : request.parts);
    if (needed > capacity)
        fail(PR_VALUE_ERROR, "room for %lld gradients, %lld may be needed.", say(capacity), say(needed));
    if (found && (blocks || request.offsets))
        fail(PR_VALUE_ERROR, "addresses that were found are taken for rows, and without offsets.");
    return blocks ? compact_blocks(gradient, addresses, grads)
                  : CompactRows(gradient, found, addresses, grads, squares).run();
}

}  // namespace
}  // namespace pocketrec

int pr_compact(const pr_request* request, const float* grad, const int64_t* found, int64_t capacity, int64_t* addresses,
               float* grads, float* squares, int64_t* count, pr_error* error) {
    return pocketrec::guarded(
        error, [&] { *count = pocketrec::compact(*request, grad, found, capacity, addresses, grads, squares); });
}
