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

static constexpr int64_t kIdsPerPart = 256;  // a thread is worth waking for about so many vectors

void find_vectors(const Train& train, const Distinct& distinct, float* out) {
    for (const Table& table : distinct.tables()) {
        const int64_t count = static_cast<int64_t>(table.ids.size()), dim = train.request.dim;
        const int64_t most = train.request.threads > 1 ? train.request.threads * PARTS_PER_THREAD : 1;
        const int64_t parts = std::clamp<int64_t>(count / kIdsPerPart, 1, most);
        run_parts(parts, [&](int64_t part) {
            Prefixes prefixes(table.cores, train.rows, train.fields, train.regions);
            const int64_t last = table.cores.count - 1, rows = prefixes.rows(last - 1);
            for (int64_t i = count * part / parts; i < count * (part + 1) / parts; ++i) {
                const Placed& own = *at(table.ids, i);
                prefixes.move(own.id);
                chain_loops().close(prefixes.product(last - 1), rows, prefixes.slice(last), *at(table.cores.q, last),
                              prefixes.width(), out + own.place * dim);
            }
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
