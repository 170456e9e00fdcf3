// The gradients of look-ups of tensor trains: to pairs of (row of a core, gradient).
#include <algorithm>
#include <array>
#include <memory>
#include <numeric>
#include <vector>

#include "chain.hpp"
#include "failure.hpp"
#include "slots.hpp"
#include "threads.hpp"
#include "train.hpp"
#include "trie.hpp"

namespace pocketrec {
namespace {

// The products of the slices 0 to k that some ids begin with, and their gradients: [nodes, rows, width] in the trie's order.
// Those of all slices but the last one are found in groups, and the gradients of the first slices are those of core 0 and go
// to its result.
struct Products {
    std::vector<float> values, grads;
};

// The gradients of the cores of one table. Products that end with the same slice of the core before the last one are
// found together, and with them the gradients of all their ids: so what is added to stays in the nearest cache.
class Backward {
  public:
    // grads: of the vectors of all tables [distinct, dim] or, without offsets, of all values.
    Backward(const Train& train, const Table& table, const float* grads)
        : table_(table), cores_(table.cores), dim_(train.request.dim), last_(cores_.count - 1),
          grads_(grads), own_grad_(static_cast<size_t>(dim_)), prefixes_(cores_, train.rows, train.fields, train.regions),
          width_(prefixes_.width()), trie_(cores_, table.ids.data(), static_cast<int64_t>(table.ids.size())) {}

    int64_t start() const { return *at(cores_.starts, 0); }

    // Finds all products, and the slices of each core that were touched.
    void find() {
        for (int64_t k = 0; k < last_ - 1; ++k) multiply(k);
        touched_[0] = trie_.level(0).slices;  // which rise as the ids do
        for (int64_t k = 1; k < last_; ++k) {
            *at(orders_, k) = rising(trie_.level(k).slices);
            for (const int64_t node : *at(orders_, k)) {
                const int64_t slice = *at(trie_.level(k).slices, node);
                if (at(touched_, k)->empty() || slice != at(touched_, k)->back()) at(touched_, k)->push_back(slice);
            }
        }
        find_last();
    }

    // Rows of the slices that were touched.
    int64_t rows() const {
        int64_t count = 0;
        for (int64_t k = 0; k <= last_; ++k) count += rows_of(k);
        return count;
    }

    // Their addresses, rising, and their gradients [rows(), rank].
    void write(int64_t* addresses, float* grads) {
        std::unique_ptr<float[]> wide;  // [rows(), width]
        if (width_ != cores_.rank) wide.reset(new float[static_cast<size_t>(rows() * width_)]);
        float* to = wide ? wide.get() : grads;
        for (int64_t k = 0; k <= last_; ++k) {
            *at(sums_, k) = to;
            to += rows_of(k) * width_;
            for (const int64_t slice : *at(touched_, k)) {
                std::iota(addresses, addresses + *at(cores_.slice, k), slice);
                addresses += *at(cores_.slice, k);
            }
        }
        std::fill_n(sums_[0], rows_of(0) * width_, 0.0f);
        std::fill_n(*at(sums_, last_), rows_of(last_) * width_, 0.0f);
        for (int64_t k = last_ - 1; k > 0; --k) close(k);
        if (last_ == 1) open_first();
        for (int64_t row = 0; wide && row < rows(); ++row)
            std::copy_n(wide.get() + row * width_, cores_.rank, grads + row * cores_.rank);
    }

  private:
    int64_t rows_of(int64_t k) const { return static_cast<int64_t>(at(touched_, k)->size()) * *at(cores_.slice, k); }

    int64_t numbers(int64_t k) const { return prefixes_.rows(k) * width_; }

    float* grad_of_node(int64_t k, int64_t node) { return (k ? at(products_, k)->grads.data() : sums_[0]) + node * numbers(k); }

    // The products of the slices 0 to k, and room for their gradients.
    void multiply(int64_t k) {
        const Trie::Level& nodes = trie_.level(k);
        Products& found = *at(products_, k);
        found.values.resize(static_cast<size_t>(nodes.count() * numbers(k)));
        if (k) found.grads.resize(found.values.size());
        for (int64_t node = 0; node < nodes.count(); ++node) {
            const float* own = prefixes_.read(k, *at(nodes.slices, node));
            float* to = found.values.data() + node * numbers(k);
            if (!k) {
                std::copy_n(own, numbers(0), to);
                continue;
            }
            const float* left = at(products_, k - 1)->values.data() + *at(nodes.parents, node) * numbers(k - 1);
            prefixes_.multiply(left, prefixes_.rows(k - 1), k, to);
        }
    }

    // The last slices that were touched, and which of them is that of each id.
    void find_last() {
        const std::vector<int64_t>& slices = trie_.level(last_).slices;
        std::vector<int64_t>& touched = *at(touched_, last_);
        std::vector<int64_t> distinct(slices.size());
        Slots slots(static_cast<int64_t>(slices.size()), distinct.data());
        places_.resize(slices.size());
        for (size_t i = 0; i < slices.size(); ++i) places_[i] = slots.place(slices[i]);
        distinct.resize(static_cast<size_t>(slots.count()));
        std::vector<int64_t> rank(distinct.size());
        for (const int64_t place : rising(distinct)) {
            *at(rank, place) = static_cast<int64_t>(touched.size());
            touched.push_back(*at(distinct, place));
        }
        for (int64_t& place : places_) place = *at(rank, place);
    }

    static std::vector<int64_t> rising(const std::vector<int64_t>& keys) {
        std::vector<Placed> placed, spare;
        placed.reserve(keys.size());
        for (size_t i = 0; i < keys.size(); ++i) placed.push_back({keys[i], static_cast<int64_t>(i)});
        sort_rising(placed, spare);
        std::vector<int64_t> order;
        order.reserve(keys.size());
        for (const Placed& own : placed) order.push_back(own.place);
        return order;
    }

    // The gradient of the vector of id number i: that of its values, added up in their order.
    const float* grad_of(int64_t i) {
        if (table_.values.empty()) return grads_ + (table_.first + i) * dim_;
        const int64_t begin = table_.begin(i), count = *at(table_.ends, i) - begin;
        if (count == 1) return grads_ + *at(table_.values, begin) * dim_;
        loops_.sum(grads_, dim_, at(table_.values, begin), count, own_grad_.data());
        return own_grad_.data();
    }

    // Asks for the gradients of the ids of a product, which lie anywhere, while there is other work to do.
    void fetch(int64_t node) const {
        if (table_.values.empty()) return;
        const Trie::Level& nodes = trie_.level(last_ - 1);
        const int64_t begin = table_.begin(nodes.begin(node)), end = *at(table_.ends, nodes.end(node) - 1);
        for (int64_t value = begin; value < std::min(end, begin + kFetched); ++value)
            for (int64_t d = 0; d < dim_; d += 16) __builtin_prefetch(grads_ + *at(table_.values, value) * dim_ + d);
    }

    // The gradient of one product of all slices but the last one; adds to those of the last slices of its ids.
    void open(int64_t node, const float* product, float* grad) {
        const int64_t q = *at(cores_.q, last_), rows = prefixes_.rows(last_ - 1) / cores_.outer;
        const Trie::Level& nodes = trie_.level(last_ - 1);
        for (int64_t i = nodes.begin(node); i < nodes.end(node); ++i) {
            const float* own = grad_of(i);
            const float* slice = prefixes_.read(last_, *at(*at(touched_, last_), *at(places_, i)));
            float* sums = *at(sums_, last_) + *at(places_, i) * *at(cores_.slice, last_) * width_;
            const bool more = i > nodes.begin(node);
            for (int64_t chain = 0; chain < cores_.outer; ++chain) {
                const int64_t first = chain * rows * width_, second = chain * q * width_;
                loops_.open(own, rows, q, width_, product + first, slice + second, grad + first, sums + second, more);
            }
        }
    }

    // Of two cores, where slices of the first one are the products.
    void open_first() {
        for (int64_t node = 0; node < trie_.level(0).count(); ++node)
            open(node, prefixes_.read(0, *at(trie_.level(0).slices, node)), grad_of_node(0, node));
    }

    // From the gradients of the products of the slices 0 to k, which are found first where these are all but the last one,
    // to those of core k and of the products of one slice less.
    void close(int64_t k) {
        const std::vector<int64_t>&slices = trie_.level(k).slices, &order = *at(orders_, k);
        const int64_t count = static_cast<int64_t>(order.size()), each = *at(cores_.slice, k) * width_;
        int64_t begin = 0;
        float* sums = *at(sums_, k);
        for (const int64_t slice : *at(touched_, k)) {
            turn(k, slice);
            for (bool more = false; begin < count && *at(slices, *at(order, begin)) == slice; more = true) {
                int64_t end = begin;
                while (end < count && end < begin + kTogether && *at(slices, *at(order, end)) == slice) ++end;
                together(k, at(order, begin), end - begin, sums, more);
                begin = end;
            }
            sums += each;
        }
    }

    // Reads a slice of core k, and turns it.
    void turn(int64_t k, int64_t slice) {
        const int64_t columns = prefixes_.columns(k);
        const float* own = prefixes_.read(k, slice);
        turned_.resize(static_cast<size_t>(columns * width_));
        loops_.turn(own, cores_.rank, columns, columns, turned_.data(), width_);
    }

    // The same for `count` products that end with the slice that was read last, whose gradient goes to sums.
    void together(int64_t k, const int64_t* which, int64_t count, float* sums, bool more) {
        const int64_t rows = prefixes_.rows(k - 1), columns = prefixes_.columns(k), all = count * rows, rank = cores_.rank;
        const std::vector<int64_t>& parents = trie_.level(k).parents;
        const std::vector<float>&before = at(products_, k - 1)->values, &grads = at(products_, k)->grads;
        left_.resize(static_cast<size_t>(all * width_));
        grad_.resize(static_cast<size_t>(all * columns));
        for (int64_t i = 0; i < count; ++i)
            std::copy_n(before.data() + *at(parents, which[i]) * numbers(k - 1), numbers(k - 1),
                        left_.data() + i * numbers(k - 1));
        if (k == last_ - 1) {
            for (int64_t i = 0; i < count; ++i) fetch(which[i]);
            product_.resize(grad_.size());
            prefixes_.multiply(left_.data(), all, k, product_.data());
            for (int64_t i = 0; i < count; ++i) open(which[i], product_.data() + i * numbers(k), grad_.data() + i * numbers(k));
        } else {
            for (int64_t i = 0; i < count; ++i)
                std::copy_n(grads.data() + which[i] * numbers(k), numbers(k), grad_.data() + i * numbers(k));
        }
        loops_.multiply(left_.data(), rank, 1, width_, all, grad_.data(), columns, columns, sums, more);
        loops_.multiply(grad_.data(), all, columns, 1, columns, turned_.data(), width_, width_, left_.data(), false);
        for (int64_t i = 0; i < count; ++i)
            add(left_.data() + i * numbers(k - 1), numbers(k - 1), grad_of_node(k - 1, *at(parents, which[i])));
    }

    // sums += some, both [count].
    static void add(const float* some, int64_t count, float* sums) {
        for (int64_t i = 0; i < count; ++i) sums[i] += some[i];
    }

    static constexpr int64_t kFetched = 8;   // rows asked for at once
    static constexpr int64_t kTogether = 8;  // products, so that they and their gradients stay in the nearest cache

    const ChainLoops& loops_ = chain_loops();
    const Table& table_;
    const Cores& cores_;
    int64_t dim_, last_;
    const float* grads_;
    std::vector<float> own_grad_;  // of an id of several values
    Prefixes prefixes_;
    int64_t width_;
    Trie trie_;
    std::array<Products, PR_MOST_CORES> products_;
    std::array<std::vector<int64_t>, PR_MOST_CORES> orders_;   // nodes by rising slices
    std::array<std::vector<int64_t>, PR_MOST_CORES> touched_;  // slices of each core, rising
    std::array<float*, PR_MOST_CORES> sums_{};                 // their gradients, rows of `width`
    std::vector<int64_t> places_;                              // by id: of its last slice among those touched
    std::vector<float> left_, product_, grad_, turned_;
};

// With offsets: from the gradient of the call's output to those of its distinct vectors, [distinct, dim].
std::vector<float> by_place(const Train& train, Distinct& distinct, const float* grad, const std::vector<float>& vectors) {
    const int64_t dim = train.request.dim, count = distinct.count();
    const pr_region region{vectors.data(), count, PR_FLOAT32};
    const pr_request inner = distinct.rows(&region);
    std::vector<float> sums(static_cast<size_t>(count * dim));
    std::vector<float> own;  // in the order of the inner look-up's values
    if (inner.pooling == PR_POOL_NONE) {
        own.resize(distinct.positions().size() * static_cast<size_t>(dim));
        for (size_t i = 0; i < distinct.positions().size(); ++i)
            std::copy_n(grad + distinct.positions()[i] * dim, dim, own.data() + static_cast<int64_t>(i) * dim);
        grad = own.data();
    }
    const int64_t values = inner.columns;
    std::vector<int64_t> addresses(static_cast<size_t>(values));
    std::vector<float> squares(addresses.size()), found(addresses.size() * static_cast<size_t>(dim));
    int64_t kept = 0;
    pr_error error;
    const int status = pr_compact(&inner, grad, nullptr, values, addresses.data(), found.data(), squares.data(), &kept, &error);
    if (status != PR_OK) fail(static_cast<pr_status>(status), "%s", error.message);
    for (int64_t i = 0; i < kept; ++i) std::copy_n(found.data() + i * dim, dim, sums.data() + *at(addresses, i) * dim);
    return sums;
}

}  // namespace

int64_t chain_compact(const pr_request& request, const float* grad, int64_t capacity, int64_t* addresses, float* grads) {
    const Train train(request);
    Distinct distinct(request, train.fields);
    std::vector<float> vectors;  // which nothing but a maximum asks for
    if (request.offsets && request.pooling == PR_POOL_MAX) {
        vectors.resize(static_cast<size_t>(distinct.count() * request.dim));
        find_vectors(train, distinct, vectors.data());
    }
    std::vector<float> sums;
    if (request.offsets) {
        sums = by_place(train, distinct, grad, vectors);
        grad = sums.data();
    }
    std::vector<std::unique_ptr<Backward>> tables;
    for (const Table& table : distinct.tables()) tables.push_back(std::make_unique<Backward>(train, table, grad));
    std::sort(tables.begin(), tables.end(), [](const auto& a, const auto& b) { return a->start() < b->start(); });
    const int64_t count = static_cast<int64_t>(tables.size());
    run_parts(count, [&](int64_t t) { (*at(tables, t))->find(); }, request.threads);
    std::vector<int64_t> starts{0};
    for (const auto& table : tables) starts.push_back(starts.back() + table->rows());
    if (starts.back() > capacity)
        fail(PR_VALUE_ERROR, "room for %lld gradients, %lld are needed.", say(capacity), say(starts.back()));
    run_parts(count, [&](int64_t t) {
        (*at(tables, t))->write(addresses + *at(starts, t), grads + *at(starts, t) * train.rows.dim);
    }, request.threads);
    return starts.back();
}

}  // namespace pocketrec
