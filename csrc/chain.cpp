// Look-ups of tensor trains; their gradients are in chain_compact.cpp.
#include "chain.hpp"

#include <algorithm>
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

// The vectors of some ids of a table, one after the other.
class Contraction {
  public:
    Contraction(const Train& train, const Table& table)
        : table_(table), last_(table.cores.count - 1), q_(*at(table.cores.q, last_)), dim_(train.request.dim),
          prefixes_(table.cores, train.rows, train.fields, train.regions),
          together_(std::max(int64_t{1}, kColumns / q_)),
          columns_((together_ * q_ + 15) / 16 * 16),
          right_(static_cast<size_t>(table.cores.rank * columns_)),
          found_(static_cast<size_t>(prefixes_.rows(last_ - 1) * columns_)) {}

    // The ids [begin, end) of the table, to out [distinct, dim].
    void find(int64_t begin, int64_t end, float* out) {
        for (int64_t next; begin < end; begin = next) {
            prefixes_.move(at(table_.ids, begin)->id);
            const int64_t most = std::min(end, begin + together_);
            for (next = begin; next < most && begins_alike(begin, next); ++next) add(next, next - begin);
            write(begin, next, out);
        }
    }

  private:
    bool begins_alike(int64_t first, int64_t other) const {
        const int64_t below = *at(table_.cores.divisors, last_ - 1);
        return at(table_.ids, first)->id / below == at(table_.ids, other)->id / below;
    }

    // The last slice of an id as columns number `place` x q on.
    void add(int64_t i, int64_t place) {
        const float* slice = prefixes_.read(last_, table_.cores.address(at(table_.ids, i)->id, last_));
        chain_loops().turn(slice, q_, table_.cores.rank, prefixes_.width(), right_.data() + place * q_, columns_);
    }

    void write(int64_t begin, int64_t end, float* out) {
        const int64_t rows = prefixes_.rows(last_ - 1), columns = ((end - begin) * q_ + 15) / 16 * 16;
        chain_loops().multiply(prefixes_.product(last_ - 1), rows, prefixes_.width(), table_.cores.rank, right_.data(),
                               columns, columns_, found_.data());
        for (int64_t i = begin; i < end; ++i)
            for (int64_t row = 0; row < rows; ++row)
                std::copy_n(found_.data() + row * columns_ + (i - begin) * q_, q_,
                            out + at(table_.ids, i)->place * dim_ + row * q_);
    }

    const Table& table_;
    int64_t last_, q_, dim_;
    Prefixes prefixes_;
    int64_t together_, columns_;
    std::vector<float> right_;  // [rank, columns]
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
    std::vector<float> vectors(static_cast<size_t>(distinct.count() * request.dim));
    find_vectors(train, distinct, vectors.data());
    if (request.offsets && request.pooling == PR_POOL_NONE) {
        const pr_region none{nullptr, 0, PR_FLOAT32};
        const int64_t* places = distinct.rows(&none).ids;
        std::fill_n(out, request.columns * request.dim, 0.0f);
        for (size_t i = 0; i < distinct.positions().size(); ++i)
            if (places[i] >= 0)
                std::copy_n(vectors.data() + places[i] * request.dim, request.dim, out + distinct.positions()[i] * request.dim);
        return;
    }
    const pr_region region{vectors.data(), distinct.count(), PR_FLOAT32};
    const pr_request inner = distinct.rows(&region);
    pr_error error;
    const int status = pr_lookup(&inner, out, &error);
    if (status != PR_OK) fail(static_cast<pr_status>(status), "%s", error.message);
}

}  // namespace pocketrec
