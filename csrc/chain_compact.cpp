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

namespace pocketrec {
namespace {

// The distinct products of the slices 0 to k of some ids, in the order of the ids.
struct Nodes {
    std::vector<int64_t> slices;   // the address of the last slice of each
    std::vector<int64_t> parents;  // its place among the products of one slice less
    std::vector<int64_t> ends;     // of its ids
    std::vector<float> products;   // [nodes, rows, width], but of all slices but the last one, which are found in groups
    std::vector<float> grads;      // the same

    int64_t count() const { return static_cast<int64_t>(slices.size()); }
    int64_t begin(int64_t node) const { return node ? *at(ends, node - 1) : 0; }
};

// The gradients of some slices of one core: rows of `width` numbers, of which the first `rank` count.
struct Sums {
    std::vector<int64_t> slices;  // rising addresses
    std::vector<float> numbers;
};

// The gradients of the cores of one table. Products that end with the same slice of the core before the last one are
// found together, and with them the gradients of all their ids: so what is added to stays in the nearest cache.
class Backward {
  public:
    // grads [distinct, dim]: of the vectors of all tables.
    Backward(const Train& train, const Table& table, const float* grads)
        : table_(table), cores_(table.cores), dim_(train.request.dim), last_(cores_.count - 1),
          grads_(grads + table.first * dim_), prefixes_(cores_, train.rows, train.fields, train.regions),
          width_(prefixes_.width()) {}

    void run() {
        visit();
        for (int64_t k = last_ - 1; k > 0; --k) close(k);
        if (last_ == 1) open_first();
        Nodes& first = nodes_[0];
        sums_[0] = {std::move(first.slices), std::move(first.grads)};
        sort_last();
    }

    int64_t start() const { return *at(cores_.starts, 0); }

    int64_t rows() const {
        int64_t count = 0;
        for (int64_t k = 0; k <= last_; ++k) count += static_cast<int64_t>(at(sums_, k)->slices.size()) * *at(cores_.slice, k);
        return count;
    }

    void write(int64_t* addresses, float* grads) const {
        for (int64_t k = 0; k <= last_; ++k) {
            const float* from = at(sums_, k)->numbers.data();
            for (const int64_t slice : at(sums_, k)->slices) {
                const int64_t rows = *at(cores_.slice, k);
                std::iota(addresses, addresses + rows, slice);
                if (width_ == cores_.rank) std::copy_n(from, rows * width_, grads);
                else
                    for (int64_t row = 0; row < rows; ++row) std::copy_n(from + row * width_, cores_.rank, grads + row * cores_.rank);
                addresses += rows;
                from += rows * width_;
                grads += rows * cores_.rank;
            }
        }
    }

  private:
    int64_t numbers(int64_t k) const { return prefixes_.rows(k) * width_; }

    // Finds all nodes, with products and room for gradients below the core before the last one, and all last slices.
    void visit() {
        last_slices_.resize(table_.ids.size());
        Slots slots(static_cast<int64_t>(table_.ids.size()), last_slices_.data());
        Slices before{-1, -1, -1, -1};
        for (const int64_t id : table_.ids) {
            const Slices own = cores_.slices(id);
            bool other = false;
            for (int64_t k = 0; k < last_; ++k) {
                other = other || *at(own, k) != *at(before, k);
                if (other) add_node(k, *at(own, k));
                ++nodes_[static_cast<size_t>(k)].ends.back();
            }
            places_.push_back(slots.place(*at(own, last_)));
            before = own;
        }
        last_slices_.resize(static_cast<size_t>(slots.count()));
        last_sums_.resize(last_slices_.size() * static_cast<size_t>(*at(cores_.slice, last_) * width_));
        for (int64_t k = 0; k < std::max(last_ - 1, int64_t{1}); ++k)
            at(nodes_, k)->grads.resize(static_cast<size_t>(at(nodes_, k)->count() * numbers(k)));
    }

    void add_node(int64_t k, int64_t slice) {
        Nodes& nodes = *at(nodes_, k);
        nodes.ends.push_back(nodes.count() ? nodes.ends.back() : 0);
        nodes.slices.push_back(slice);
        nodes.parents.push_back(k ? at(nodes_, k - 1)->count() - 1 : -1);
        if (k == last_ - 1) return;
        const float* own = prefixes_.read(k, slice);
        if (!k) {
            nodes.products.insert(nodes.products.end(), own, own + numbers(0));
            return;
        }
        const size_t from = nodes.products.size();
        nodes.products.resize(from + static_cast<size_t>(numbers(k)));
        prefixes_.multiply(at(nodes_, k - 1)->products.data() + nodes.parents.back() * numbers(k - 1), prefixes_.rows(k - 1), k,
                           nodes.products.data() + from);
    }

    // The gradient of one product of all slices but the last one; adds to those of the last slices of its ids.
    void open(int64_t node, const float* product, float* grad) {
        const int64_t q = *at(cores_.q, last_), rows = prefixes_.rows(last_ - 1) / cores_.outer;
        const Nodes& nodes = *at(nodes_, last_ - 1);
        for (int64_t i = nodes.begin(node); i < *at(nodes.ends, node); ++i) {
            const float* slice = prefixes_.read(last_, *at(last_slices_, *at(places_, i)));
            float* sums = last_sums_.data() + *at(places_, i) * *at(cores_.slice, last_) * width_;
            const bool more = i > nodes.begin(node);
            for (int64_t chain = 0; chain < cores_.outer; ++chain) {
                const int64_t first = chain * rows * width_, second = chain * q * width_;
                chain_loops().open(grads_ + i * dim_, rows, q, width_, product + first, slice + second, grad + first,
                                   sums + second, more);
            }
        }
    }

    // Of two cores, where slices of the first one are the products.
    void open_first() {
        Nodes& nodes = nodes_[0];
        for (int64_t node = 0; node < nodes.count(); ++node)
            open(node, prefixes_.read(0, *at(nodes.slices, node)), nodes.grads.data() + node * numbers(0));
    }

    void sort_last() {
        const int64_t each = *at(cores_.slice, last_) * width_;
        Sums& sums = *at(sums_, last_);
        for (const int64_t place : rising(last_slices_)) {
            sums.slices.push_back(*at(last_slices_, place));
            const float* from = last_sums_.data() + place * each;
            sums.numbers.insert(sums.numbers.end(), from, from + each);
        }
    }

    static std::vector<int64_t> rising(const std::vector<int64_t>& keys) {
        std::vector<Placed> placed, spare;
        for (size_t i = 0; i < keys.size(); ++i) placed.push_back({keys[i], static_cast<int64_t>(i)});
        sort_rising(placed, spare);
        std::vector<int64_t> order;
        for (const Placed& own : placed) order.push_back(own.place);
        return order;
    }

    // From the gradients of the products of the slices 0 to k, which are found first where these are all but the last one,
    // to those of core k and of the products of one slice less.
    void close(int64_t k) {
        const std::vector<int64_t>& slices = at(nodes_, k)->slices;
        const std::vector<int64_t> order = rising(slices);
        const int64_t count = static_cast<int64_t>(order.size()), each = *at(cores_.slice, k) * width_;
        Sums& sums = *at(sums_, k);
        for (const int64_t node : order)
            if (sums.slices.empty() || *at(slices, node) != sums.slices.back()) sums.slices.push_back(*at(slices, node));
        sums.numbers.resize(sums.slices.size() * static_cast<size_t>(each));
        int64_t begin = 0;
        float* numbers = sums.numbers.data();
        for (const int64_t slice : sums.slices) {
            turn(k, slice);
            for (bool more = false; begin < count && *at(slices, *at(order, begin)) == slice; more = true) {
                int64_t end = begin;
                while (end < count && end < begin + kTogether && *at(slices, *at(order, end)) == slice) ++end;
                together(k, at(order, begin), end - begin, numbers, more);
                begin = end;
            }
            numbers += each;
        }
    }

    // Reads a slice of core k, and turns it.
    void turn(int64_t k, int64_t slice) {
        const int64_t columns = prefixes_.columns(k);
        const float* own = prefixes_.read(k, slice);
        turned_.resize(static_cast<size_t>(columns * width_));
        chain_loops().turn(own, cores_.rank, columns, columns, turned_.data(), width_);
    }

    // The same for `count` products that end with the slice that was read last, whose gradient goes to sums.
    void together(int64_t k, const int64_t* which, int64_t count, float* sums, bool more) {
        const int64_t rows = prefixes_.rows(k - 1), columns = prefixes_.columns(k), all = count * rows, rank = cores_.rank;
        Nodes &nodes = *at(nodes_, k), &before = *at(nodes_, k - 1);
        left_.resize(static_cast<size_t>(all * width_));
        grad_.resize(static_cast<size_t>(all * columns));
        for (int64_t i = 0; i < count; ++i)
            std::copy_n(before.products.data() + *at(nodes.parents, which[i]) * numbers(k - 1), numbers(k - 1),
                        left_.data() + i * numbers(k - 1));
        if (k == last_ - 1) {
            product_.resize(grad_.size());
            prefixes_.multiply(left_.data(), all, k, product_.data());
            for (int64_t i = 0; i < count; ++i) open(which[i], product_.data() + i * numbers(k), grad_.data() + i * numbers(k));
        } else {
            for (int64_t i = 0; i < count; ++i)
                std::copy_n(nodes.grads.data() + which[i] * numbers(k), numbers(k), grad_.data() + i * numbers(k));
        }
        chain_loops().multiply(left_.data(), rank, 1, width_, all, grad_.data(), columns, columns, sums, more);
        back_.resize(left_.size());
        chain_loops().multiply(grad_.data(), all, columns, 1, columns, turned_.data(), width_, width_, back_.data(), false);
        for (int64_t i = 0; i < count; ++i) {
            float* to = before.grads.data() + *at(nodes.parents, which[i]) * numbers(k - 1);
            for (int64_t d = 0; d < numbers(k - 1); ++d) to[d] += *at(back_, i * numbers(k - 1) + d);
        }
    }

    static constexpr int64_t kTogether = 8;  // products, so that they and their gradients stay in the nearest cache

    const Table& table_;
    const Cores& cores_;
    int64_t dim_, last_;
    const float* grads_;  // of this table's ids
    Prefixes prefixes_;
    int64_t width_;
    std::array<Nodes, PR_MOST_CORES> nodes_;
    std::array<Sums, PR_MOST_CORES> sums_;
    std::vector<int64_t> places_, last_slices_;  // by id: which last slice; their addresses
    std::vector<float> last_sums_;               // [last slices, rows, width]
    std::vector<float> left_, product_, grad_, turned_, back_;
};

// grads of the call's values, in the order of its ids, to [distinct, dim].
std::vector<float> by_place(const Train& train, Distinct& distinct, const float* grad, const std::vector<float>& vectors) {
    const int64_t dim = train.request.dim, count = distinct.count();
    const pr_region region{vectors.data(), count, PR_FLOAT32};
    const pr_request inner = distinct.rows(&region);
    std::vector<float> sums(static_cast<size_t>(count * dim));
    if (!inner.offsets) {
        for (int64_t i = 0; i < inner.batch * inner.fields; ++i)
            if (inner.ids[i] >= 0)
                for (int64_t d = 0; d < dim; ++d) sums[static_cast<size_t>(inner.ids[i] * dim + d)] += grad[i * dim + d];
        return sums;
    }
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
    const std::vector<float> sums = by_place(train, distinct, grad, vectors);
    std::vector<std::unique_ptr<Backward>> tables;
    for (const Table& table : distinct.tables()) tables.push_back(std::make_unique<Backward>(train, table, sums.data()));
    std::sort(tables.begin(), tables.end(), [](const auto& a, const auto& b) { return a->start() < b->start(); });
    run_parts(static_cast<int64_t>(tables.size()), [&](int64_t t) { tables[static_cast<size_t>(t)]->run(); }, request.threads);
    int64_t count = 0;
    const int64_t rank = train.rows.dim;
    for (const auto& table : tables) {
        if (count + table->rows() > capacity)
            fail(PR_VALUE_ERROR, "room for %lld gradients, %lld are needed.", say(capacity), say(count + table->rows()));
        table->write(addresses + count, grads + count * rank);
        count += table->rows();
    }
    return count;
}

}  // namespace pocketrec
