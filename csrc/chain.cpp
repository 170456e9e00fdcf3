// Look-ups of tensor trains; their gradients are in chain_compact.cpp.
#include "chain.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "cpu.hpp"
#include "failure.hpp"
#include "threads.hpp"
#include "train.hpp"

namespace pocketrec {

const ChainLoops& chain_loops() {
#if defined(__x86_64__)
    if (level() == Level::avx512) return chain_avx512;
    if (level() == Level::avx2) return chain_avx2;
#endif
    return chain_generic;
}

namespace {

constexpr int64_t kIdsPerPart = 256;  // a thread is worth waking for about so many vectors
constexpr int64_t kColumns = 64;      // of products with the last slices of several ids

// to [rows, q] = the first q of each row of from [rows, stride]. kQ: q, or 0 where it is known at run time only.
template <int64_t kQ>
void cut_rows(const float* from, int64_t rows, int64_t stride, int64_t q, float* to) {
    if (kQ) q = kQ;
    for (int64_t row = 0; row < rows; ++row, from += stride, to += q)
        if (kQ) std::memcpy(to, from, static_cast<size_t>(kQ) * sizeof(float));  // a move or two, where copying q is a call
        else std::copy_n(from, q, to);
}

void cut_out(const float* from, int64_t rows, int64_t stride, int64_t q, float* to) {
    switch (q) {
        case 2: return cut_rows<2>(from, rows, stride, q, to);
        case 4: return cut_rows<4>(from, rows, stride, q, to);
        case 8: return cut_rows<8>(from, rows, stride, q, to);
        default: return cut_rows<0>(from, rows, stride, q, to);
    }
}

// The vectors of some ids of a table, one after the other.
class Contraction {
  public:
    Contraction(const Train& train, const Table& table)
        : table_(table), cores_(table.cores), last_(cores_.count - 1), q_(*at(cores_.q, last_)), dim_(train.request.dim),
          prefixes_(cores_, train.rows, train.fields, train.regions),
          together_(std::max(int64_t{1}, kColumns / q_)),
          columns_((together_ * q_ + 15) / 16 * 16),
          right_(static_cast<size_t>(cores_.outer * cores_.rank * columns_)),
          found_(static_cast<size_t>(prefixes_.rows(last_ - 1) / cores_.outer * columns_)) {}

    // The vectors of ids [begin, end) of the table to their places in out.
    void find(int64_t begin, int64_t end, float* out) {
        Slices first = begin < end ? cores_.slices(*at(table_.ids, begin)) : Slices{};
        for (int64_t next; begin < end; begin = next) {
            prefixes_.move(first);
            Slices own = first;
            for (next = begin; next < end && next < begin + together_ && begins_alike(first, own);) {
                add(*at(own, last_), next - begin);
                if (++next < end) own = cores_.slices(*at(table_.ids, next));
            }
            write(begin, next, out);
            first = own;
        }
    }

  private:
    bool begins_alike(const Slices& a, const Slices& b) const {
        bool alike = true;
        for (int64_t k = 0; k < last_; ++k) alike = alike && *at(a, k) == *at(b, k);
        return alike;
    }

    // The last slice of an id as columns number `place` x q on.
    void add(int64_t address, int64_t place) {
        const float* slice = prefixes_.read(last_, address);
        for (int64_t chain = 0; chain < cores_.outer; ++chain)
            loops_.turn(slice + chain * q_ * prefixes_.width(), q_, cores_.rank, prefixes_.width(),
                               right_.data() + chain * cores_.rank * columns_ + place * q_, columns_);
    }

    void write(int64_t begin, int64_t end, float* out) {
        const int64_t rows = prefixes_.rows(last_ - 1) / cores_.outer, columns = ((end - begin) * q_ + 15) / 16 * 16;
        for (int64_t chain = 0; chain < cores_.outer; ++chain)
            loops_.multiply(prefixes_.product(last_ - 1) + chain * rows * prefixes_.width(), rows, prefixes_.width(), 1,
                                   cores_.rank, right_.data() + chain * cores_.rank * columns_, columns, columns_,
                                   found_.data(), chain > 0);
        for (int64_t i = begin; i < end; ++i) {
            const float* own = found_.data() + (i - begin) * q_;
            if (table_.values.empty()) {
                cut_out(own, rows, columns_, q_, out + (table_.first + i) * dim_);
                continue;
            }
            int64_t value = table_.begin(i);
            float* to = out + *at(table_.values, value) * dim_;
            cut_out(own, rows, columns_, q_, to);
            while (++value < *at(table_.ends, i)) std::copy_n(to, dim_, out + *at(table_.values, value) * dim_);
        }
    }

    const ChainLoops& loops_ = chain_loops();
    const Table& table_;
    const Cores& cores_;
    int64_t last_, q_, dim_;
    Prefixes prefixes_;
    int64_t together_, columns_;
    std::vector<float> right_;  // [chains, rank, columns]
    std::vector<float> found_;  // [rows, columns]
};

}  // namespace

void find_vectors(const Train& train, const Distinct& distinct, float* out) {
    for (const Table& table : distinct.tables()) {
        const int64_t count = static_cast<int64_t>(table.ids.size());
        const int64_t most = train.request.threads > 1 ? train.request.threads * PARTS_PER_THREAD : 1;
        const int64_t parts = std::clamp<int64_t>(count / kIdsPerPart, 1, most);
        run_parts(parts, [&](int64_t part) {
            Contraction(train, table).find(count * part / parts, count * (part + 1) / parts, out);
        }, train.request.threads);
    }
}

void chain_lookup(const pr_request& request, float* out) {
    const Train train(request);
    Distinct distinct(request, train.fields);
    if (!request.offsets) {
        find_vectors(train, distinct, out);
        for (const int64_t value : distinct.padding()) std::fill_n(out + value * request.dim, request.dim, 0.0f);
        return;
    }
    const std::unique_ptr<float[]> vectors(new float[static_cast<size_t>(distinct.count() * request.dim)]);  // all written
    find_vectors(train, distinct, vectors.get());
    if (request.pooling == PR_POOL_NONE) {
        const pr_region none{nullptr, 0, PR_FLOAT32};
        const int64_t* places = distinct.rows(&none).ids;
        std::fill_n(out, request.columns * request.dim, 0.0f);
        for (size_t i = 0; i < distinct.positions().size(); ++i)
            if (places[i] >= 0)
                std::copy_n(vectors.get() + places[i] * request.dim, request.dim, out + distinct.positions()[i] * request.dim);
        return;
    }
    const pr_region region{vectors.get(), distinct.count(), PR_FLOAT32};
    const pr_request inner = distinct.rows(&region);
    pr_error error;
    const int status = pr_lookup(&inner, out, &error);
    if (status != PR_OK) fail(static_cast<pr_status>(status), "%s", error.message);
}

}  // namespace pocketrec
