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
    std::vector<float> products;   // where they are asked for again: [nodes, rows, width]
    std::vector<float> grads;      // [nodes, rows, width]

    int64_t count() const { return static_cast<int64_t>(slices.size()); }
};

// The gradients of some slices of one core: rows of `width` numbers, of which the first `rank` count.
struct Sums {
    std::vector<int64_t> slices;  // rising addresses
    std::vector<float> numbers;
};

// The gradients of the cores of one table. Ids are visited once; then all products of as many slices at once, those that
// end with the same slice together.
class Backward {
  public:
    // grads [distinct, dim]: of the vectors of all tables.
    Backward(const Train& train, const Table& table, const float* grads)
        : table_(table), cores_(table.cores), dim_(train.request.dim), last_(table.cores.count - 1), grads_(grads),
          prefixes_(table.cores, train.rows, train.fields, train.regions), width_(prefixes_.width()) {}

    void run() {
        open();
        for (int64_t k = last_ - 1; k > 0; --k) close(k);
        Nodes& first = nodes_[0];
        sums_[0] = {std::move(first.slices), std::move(first.grads)};
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

    // The gradients of the last core, and of the products of all slices but the last one.
    void open() {
        const int64_t q = *at(cores_.q, last_), ids = static_cast<int64_t>(table_.ids.size());
        std::vector<int64_t> digits(static_cast<size_t>(std::min(ids, *at(cores_.moduli, last_))));
        Slots slots(static_cast<int64_t>(digits.size()), digits.data());
        std::vector<float> sums(digits.size() * static_cast<size_t>(q * width_), 0.0f);
        make_room();
        for (const Placed& own : table_.ids) {
            for (int64_t k = prefixes_.move(own.id); k < last_; ++k) add_node(k, cores_.address(own.id, k));
            Nodes& nodes = *at(nodes_, last_ - 1);
            chain_loops().open(grads_ + own.place * dim_, prefixes_.rows(last_ - 1), q, width_, prefixes_.product(last_ - 1),
                         prefixes_.slice(last_), nodes.grads.data() + (nodes.count() - 1) * numbers(last_ - 1),
                         sums.data() + slots.place(cores_.address(own.id, last_)) * q * width_);
        }
        digits.resize(static_cast<size_t>(slots.count()));
        for (const int64_t place : rising(digits)) {
            at(sums_, last_)->slices.push_back(*at(digits, place));
            const float* from = sums.data() + place * q * width_;
            at(sums_, last_)->numbers.insert(at(sums_, last_)->numbers.end(), from, from + q * width_);
        }
    }

    // Ids rise, so that products of the same slices follow one another.
    void make_room() {
        for (int64_t k = 0; k < last_; ++k) {
            const int64_t below = *at(cores_.divisors, k);
            int64_t count = 0;
            for (size_t i = 0; i < table_.ids.size(); ++i) count += !i || table_.ids[i].id / below != table_.ids[i - 1].id / below;
            at(nodes_, k)->grads.resize(static_cast<size_t>(count * numbers(k)), 0.0f);
        }
    }

    void add_node(int64_t k, int64_t slice) {
        Nodes& nodes = *at(nodes_, k);
        nodes.slices.push_back(slice);
        nodes.parents.push_back(k ? at(nodes_, k - 1)->count() - 1 : -1);
        if (k < last_ - 1) nodes.products.insert(nodes.products.end(), prefixes_.product(k), prefixes_.product(k) + numbers(k));
    }

    static std::vector<int64_t> rising(const std::vector<int64_t>& keys) {
        std::vector<int64_t> order(keys.size());
        std::iota(order.begin(), order.end(), int64_t{0});
        std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return *at(keys, a) < *at(keys, b); });
        return order;
    }

    // From the gradients of the products of the slices 0 to k to those of core k and of the products of one slice less.
    void close(int64_t k) {
        const std::vector<int64_t>& slices = at(nodes_, k)->slices;
        const std::vector<int64_t> order = rising(slices);
        Sums& sums = *at(sums_, k);
        std::vector<int64_t> begins;  // of products that end with one slice
        for (size_t i = 0; i < order.size(); ++i)
            if (!i || *at(slices, order[i]) != sums.slices.back()) {
                begins.push_back(static_cast<int64_t>(i));
                sums.slices.push_back(*at(slices, order[i]));
            }
        begins.push_back(static_cast<int64_t>(order.size()));
        const int64_t numbers = *at(cores_.slice, k) * width_;
        sums.numbers.resize(sums.slices.size() * static_cast<size_t>(numbers));
        for (size_t i = 0; i < sums.slices.size(); ++i)
            together(k, sums.slices[i], at(order, begins[i]), begins[i + 1] - begins[i],
                     sums.numbers.data() + static_cast<int64_t>(i) * numbers);
    }

    // The same for `count` products that end with one slice, whose gradient goes to sums.
    void together(int64_t k, int64_t slice, const int64_t* which, int64_t count, float* sums) {
        const int64_t rows = prefixes_.rows(k - 1), columns = prefixes_.columns(k), all = count * rows, rank = cores_.rank;
        Nodes &nodes = *at(nodes_, k), &before = *at(nodes_, k - 1);
        grad_.resize(static_cast<size_t>(all * columns));
        turned_.resize(static_cast<size_t>(rank * all));
        for (int64_t i = 0; i < count; ++i) {
            std::copy_n(nodes.grads.data() + which[i] * numbers(k), numbers(k), grad_.data() + i * numbers(k));
            const float* left = before.products.data() + *at(nodes.parents, which[i]) * numbers(k - 1);
            chain_loops().turn(left, rows, rank, width_, turned_.data() + i * rows, all);
        }
        chain_loops().multiply(turned_.data(), rank, all, all, grad_.data(), columns, columns, sums);
        const float* own = prefixes_.read(k, slice);
        turned_.assign(static_cast<size_t>(columns * width_), 0.0f);
        chain_loops().turn(own, rank, columns, columns, turned_.data(), width_);
        back_.resize(static_cast<size_t>(all * width_));
        chain_loops().multiply(grad_.data(), all, columns, columns, turned_.data(), width_, width_, back_.data());
        for (int64_t i = 0; i < count; ++i) {
            float* to = before.grads.data() + *at(nodes.parents, which[i]) * numbers(k - 1);
            for (int64_t d = 0; d < numbers(k - 1); ++d) to[d] += *at(back_, i * numbers(k - 1) + d);
        }
    }

    const Table& table_;
    const Cores& cores_;
    int64_t dim_, last_;
    const float* grads_;
    Prefixes prefixes_;
    int64_t width_;
    std::array<Nodes, PR_MOST_CORES> nodes_;
    std::array<Sums, PR_MOST_CORES> sums_;
    std::vector<float> grad_, turned_, back_;
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
