#include "compact_blocks.hpp"

#include <algorithm>

#include "slots.hpp"

namespace pocketrec {
namespace {

constexpr int64_t kChunk = 64;
constexpr int64_t kTile = 256;

// Sums of gradients for the touched parts of a long array: chunks that exist once they are touched. Blocks touch
// neighbours, so that one search serves many weights, and what comes out lies in runs for the update.
class Chunks {
  public:
    explicit Chunks(int64_t most) : numbers_(static_cast<size_t>(most)), slots_(most, numbers_.data()) {}

    // Adds `count` consecutive gradients at an address.
    void add(int64_t address, int64_t count, const float* grads) {
        while (count > 0) {
            const int64_t first = address % kChunk, length = std::min(count, kChunk - first);
            float* sums = touch(address / kChunk, first, length) + first;
            for (int64_t j = 0; j < length; ++j) sums[j] += grads[j];
            address += length, count -= length, grads += length;
        }
    }

    // Writes all touched weights; returns how many.
    int64_t write(int64_t* addresses, float* grads) const {
        int64_t count = 0;
        for (size_t place = 0; place < touched_.size(); ++place)
            for (uint64_t left = touched_[place]; left; left &= left - 1) {
                const int64_t j = __builtin_ctzll(left);
                addresses[count] = numbers_[place] * kChunk + j;
                grads[count++] = sums_[place * kChunk + static_cast<size_t>(j)];
            }
        return count;
    }

  private:
    // The sums of a chunk, of which weights [first, first + length) are now touched.
    float* touch(int64_t number, int64_t first, int64_t length) {
        const size_t place = static_cast<size_t>(slots_.place(number));
        if (place == touched_.size()) {
            touched_.push_back(0);
            sums_.resize(sums_.size() + kChunk, 0.0f);
        }
        touched_[place] |= (~uint64_t{0} >> (kChunk - length)) << first;
        return sums_.data() + place * kChunk;
    }

    std::vector<int64_t> numbers_;  // of chunks, by place
    Slots slots_;
    std::vector<uint64_t> touched_;  // one bit per weight
    std::vector<float> sums_;
};

class CompactBlocks {
  public:
    explicit CompactBlocks(const Gradient& gradient)
        : gradient_(gradient), request_(gradient.request()), spread_(gradient), chunks_(most_chunks(gradient)) {}

    int64_t run(int64_t* addresses, float* grads) {
        gradient_.for_each_tile(kTile, [&](const Tile& tile) { add(tile); });
        return chunks_.write(addresses, grads);
    }

  private:
    static int64_t most_chunks(const Gradient& gradient) {
        const int64_t all = gradient.regions().total() / kChunk + 1;
        return std::min(all, gradient.values() * gradient.request().dim);
    }

    void add(const Tile& tile) {
        const int64_t parts = request_.parts, words = (request_.dim + 63) / 64;
        starts_.resize(static_cast<size_t>(tile.count * parts));
        signs_.resize(static_cast<size_t>(tile.count * words));
        gradient_.find_blocks_of(tile, starts_.data(), signs_.data());
        const float* const* vectors = spread_.vectors(tile);
        for (int64_t i = 0; i < tile.count; ++i) {
            const int64_t* starts = starts_.data() + i * parts;
            if (starts[0] < 0) continue;
            const int64_t number = tile.window ? tile.window->number : i % request_.fields;
            const Field& field = gradient_.fields()[static_cast<size_t>(number)].field;
            add_value(field, starts, has_signs(field) ? negated(vectors[i], signs_.data() + i * words) : vectors[i]);
        }
    }

    void add_value(const Field& field, const int64_t* starts, const float* grad) {
        const int64_t dim = request_.dim, end = field.start + field.size;
        for (int64_t p = 0, d = 0; d < dim; ++p, d += field.a) {
            const int64_t length = std::min(field.a, dim - d), first = std::min(length, end - starts[p]);
            add_run(starts[p], first, grad + d);
            add_run(field.start, length - first, grad + d + first);
        }
    }

    const float* negated(const float* grad, const uint64_t* signs) {
        signed_.resize(static_cast<size_t>(request_.dim));
        for (size_t d = 0; d < signed_.size(); ++d)
            signed_[d] = signs[d / 64] >> (d % 64) & 1 ? -grad[d] : grad[d];
        return signed_.data();
    }

    void add_run(int64_t address, int64_t count, const float* grad) {
        const int64_t total = gradient_.regions().total();
        if (count > 0 && address + count > total) gradient_.regions().refuse(std::max(address, total));
        chunks_.add(address, count, grad);
    }

    const Gradient& gradient_;
    const pr_request& request_;
    Spread spread_;
    Chunks chunks_;
    std::vector<int64_t> starts_;
    std::vector<uint64_t> signs_;
    std::vector<float> signed_;
};

}  // namespace

int64_t compact_blocks(const Gradient& gradient, int64_t* addresses, float* grads) {
    return CompactBlocks(gradient).run(addresses, grads);
}

}  // namespace pocketrec
