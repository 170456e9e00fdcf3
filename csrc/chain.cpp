// Look-ups of tensor trains; their gradients are in chain_compact.cpp.
#include "chain.hpp"

#include <algorithm>
#include <memory>
#include <vector>

#include "cpu.hpp"
#include "failure.hpp"
#include "threads.hpp"
#include "train.hpp"
#include "trie.hpp"

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

// The vectors of some ids of a table, one after the other: the product of all slices but the last one, turned so that its
// rows lie along a register, and of the last slice a row at a time.
class Contraction {
  public:
    Contraction(const Train& train, const Table& table)
        : table_(table), cores_(table.cores), last_(cores_.count - 1), q_(*at(cores_.q, last_)), dim_(train.request.dim),
          prefixes_(cores_, train.rows, train.fields, train.regions),
          rows_(prefixes_.rows(last_ - 1) / cores_.outer),
          lanes_((rows_ + 15) / 16 * 16),
          turned_(static_cast<size_t>(cores_.outer * cores_.rank * lanes_)),
          found_(static_cast<size_t>(q_ * lanes_)) {}

    // The vectors of ids [begin, end) of the table to their places in out.
    void find(int64_t begin, int64_t end, float* out) {
        const Trie trie(cores_, at(table_.ids, begin), end - begin);
        const Trie::Level &nodes = trie.level(last_ - 1), &ids = trie.level(last_);
        for (int64_t node = 0; node < nodes.count(); ++node) {
            prefixes_.move(trie.slices(last_ - 1, node));
            turn();
            for (int64_t id = nodes.begin(node); id < nodes.end(node); ++id) {
                multiply(*at(ids.slices, id));
                write(begin + id, out);
            }
        }
    }

  private:
    // The product that the ids begin with, of each chain [rank, lanes].
    void turn() {
        const int64_t width = prefixes_.width();
        for (int64_t chain = 0; chain < cores_.outer; ++chain)
            loops_.turn(prefixes_.product(last_ - 1) + chain * rows_ * width, rows_, cores_.rank, width,
                        turned_.data() + chain * cores_.rank * lanes_, lanes_);
    }

    // The vector that ends with the slice at an address, turned: [q, lanes].
    void multiply(int64_t address) {
        const float* slice = prefixes_.read(last_, address);
        const int64_t width = prefixes_.width();
        for (int64_t chain = 0; chain < cores_.outer; ++chain)
            loops_.multiply(slice + chain * q_ * width, q_, width, 1, cores_.rank,
                            turned_.data() + chain * cores_.rank * lanes_, lanes_, lanes_, found_.data(), chain > 0);
    }

    // The vector of an id to the places of its values, or to its own.
    void write(int64_t id, float* out) {
        if (table_.values.empty()) return loops_.turn(found_.data(), q_, rows_, lanes_, out + (table_.first + id) * dim_, q_);
        int64_t value = table_.begin(id);
        float* to = out + *at(table_.values, value) * dim_;
        loops_.turn(found_.data(), q_, rows_, lanes_, to, q_);
        while (++value < *at(table_.ends, id)) std::copy_n(to, dim_, out + *at(table_.values, value) * dim_);
    }

    const ChainLoops& loops_ = chain_loops();
    const Table& table_;
    const Cores& cores_;
    int64_t last_, q_, dim_;
    Prefixes prefixes_;
    int64_t rows_, lanes_;
    std::vector<float> turned_;  // [chains, rank, lanes]
    std::vector<float> found_;   // [q, lanes]
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
