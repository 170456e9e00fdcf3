// The values of a lookup and the gradient of each: what both forms of pr_compact (rows, blocks) go through.
#pragma once

#include <cstdint>
#include <vector>

#include "addressing.hpp"
#include "grid.hpp"
#include "reader.hpp"
#include "regions.hpp"
#include "windows.hpp"

namespace pocketrec {

// Consecutive values in the order of visiting: whole batch rows, or a window of one field's values.
struct Tile {
    int64_t first, count;  // values in the order of visiting, from 0
    int64_t row;           // without offsets: the first batch row
    const Window* window;  // with offsets
};

// A checked lookup and the gradient of its output. Shared by the threads of a call.
class Gradient {
  public:
    Gradient(const pr_request& request, const float* grad);

    const pr_request& request() const { return request_; }
    const Regions& regions() const { return regions_; }
    const std::vector<Addressing>& fields() const { return prepared_; }
    const float* grad() const { return grad_; }

    int64_t values() const { return values_; }

    // Calls visit(tile) for all values, about `most` at a time.
    template <class Visit>
    void for_each_tile(int64_t most, Visit visit) const {
        if (!request_.offsets) {
            const int64_t fields = request_.fields, rows = std::max(int64_t{1}, most / std::max(int64_t{1}, fields));
            for (int64_t b = 0; b < request_.batch; b += rows)
                visit(Tile{b * fields, std::min(rows, request_.batch - b) * fields, b, nullptr});
            return;
        }
        int64_t first = 0;
        for_each_window(request_, prepared_, 0, request_.batch, most, [&](const Window& window) {
            visit(Tile{first, window.count, 0, &window});
            first += window.count;
        });
    }

    // out: int64 [tile.count, parts].
    void find_addresses_of(const Tile& tile, int64_t* out) const {
        if (tile.window) return find_targets_of(tile, {out, 0, nullptr, 0, 0});
        grid_.find(tile.row, tile.count / request_.fields, out);
    }

    // The same for blocks; signs: [tile.count, (dim + 63) / 64], of fields that have some.
    void find_blocks_of(const Tile& tile, int64_t* starts, uint64_t* signs) const {
        find_targets_of(tile, {starts, 0, signs, (request_.dim + 63) / 64, request_.dim});
    }

    const std::vector<Field>& plain_fields() const { return fields_; }

  private:
    void find_targets_of(const Tile& tile, Targets out) const;

    const pr_request& request_;
    const float* grad_;
    std::vector<Field> fields_;
    std::vector<Addressing> prepared_;
    Grid grid_;
    Regions regions_;
    int64_t values_;
};

// The gradient of each value of a tile; holds the scratch space of one thread. Tiles must come in order.
class Spread {
  public:
    explicit Spread(const Gradient& gradient);

    // One vector per value; of padding, anything. Valid until the next call.
    const float* const* vectors(const Tile& tile);

    // One vector per value and part of a product: the value's, times the other part's row where there is one.
    const float* const* products(const Tile& tile, const int64_t* addresses);

  private:
    void bag_vectors(const Tile& tile, int64_t bag, int64_t first, int64_t last);
    void maxima(const Window& window, int64_t bag, int64_t first, int64_t last);
    void find_winners(const Window& window, int64_t begin, int64_t end);
    float* scratch(int64_t place);

    const Gradient& gradient_;
    const pr_request& request_;
    Reader reader_;
    std::vector<const float*> vectors_, products_;
    std::vector<float> scratch_, others_;
    std::vector<int64_t> swapped_;
    const float* won_by_ = nullptr;  // the bag whose winners are known, by its gradient
    std::vector<int64_t> winner_;
    std::vector<float> best_, values_;
};

}  // namespace pocketrec
