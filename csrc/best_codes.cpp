// pr_best_codes: the codeword that each block of a row chooses; src/pocketrec/native/best_codes.py is the definition.
#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "failure.hpp"
#include "pocketrec.h"
#include "threads.hpp"

namespace pocketrec {
namespace {

constexpr int64_t kLanes = 4;
constexpr int64_t kProductsPerPart = 1 << 18;  // a thread is worth waking for about this many
typedef float Floats __attribute__((vector_size(4 * kLanes)));
typedef int32_t Ints __attribute__((vector_size(4 * kLanes)));

Floats load(const float* from) {
    Floats found;
    std::memcpy(&found, from, sizeof found);
    return found;
}

// The codewords of all blocks [blocks, block, codewords filled up to whole vectors], beside what their sums begin with.
struct Codebooks {
    explicit Codebooks(const pr_codebooks& books)
        : block(books.block), codewords(books.codewords), product(books.product != 0),
          width((codewords + kLanes - 1) / kLanes * kLanes),
          words(static_cast<size_t>(books.blocks * block * width)) {
        for (int64_t row = 0; row < books.blocks * block; ++row)
            std::copy_n(books.words + row * codewords, codewords, words.data() + row * width);
    }

    // The first of the codewords of a block, of the first `limit`, whose sum is least.
    int64_t best(const float* query, int64_t number, int64_t limit) const {
        constexpr float kNever = std::numeric_limits<float>::infinity();
        const float* own = words.data() + number * block * width;
        Floats least{kNever, kNever, kNever, kNever};
        Ints at{0, 1, 2, 3}, places{0, 1, 2, 3};
        for (int64_t c = 0; c < limit; c += kLanes, places += static_cast<int32_t>(kLanes)) {
            Floats total{};
            for (int64_t k = 0; k < block; ++k) {
                const Floats other = load(own + k * width + c);
                if (product) {
                    total -= query[k] * other;
                } else {
                    const Floats apart = query[k] - other;
                    total += apart * apart;
                }
            }
            for (int64_t lane = limit - c; lane < kLanes; ++lane) total[lane] = kNever;
            const Ints less = total < least;
            least = less ? total : least;
            at = less ? places : at;
        }
        int64_t found = 0;
        for (int64_t lane = 1; lane < kLanes; ++lane)
            if (least[lane] < least[found] || (least[lane] == least[found] && at[lane] < at[found])) found = lane;
        return at[found];
    }

    int64_t block, codewords;
    bool product;
    int64_t width;
    std::vector<float> words;
};

}  // namespace
}  // namespace pocketrec

int pr_best_codes(const float* queries, int64_t n, const pr_codebooks* books, const int64_t* limits, int64_t threads,
                  int64_t* out, pr_error* error) {
    using namespace pocketrec;
    return guarded(error, [&] {
        const Codebooks own(*books);
        const int64_t blocks = books->blocks, work = n * blocks * own.block * own.codewords;
        const int64_t most = std::min(threads > 1 ? threads * PARTS_PER_THREAD : 1, std::max<int64_t>(n, 1));
        const int64_t parts = std::clamp<int64_t>(work / kProductsPerPart, 1, most);
        run_parts(parts, [&](int64_t part) {
            for (int64_t i = n * part / parts; i < n * (part + 1) / parts; ++i) {
                const int64_t limit = limits ? std::clamp<int64_t>(limits[i], 1, own.codewords) : own.codewords;
                for (int64_t b = 0; b < blocks; ++b)
                    out[i * blocks + b] = own.best(queries + (i * blocks + b) * own.block, b, limit);
            }
        }, threads);
    });
}
