// pr_lookup: ids to vectors. Every number is summed in value order, so results do not depend on how a batch is cut.
#include <algorithm>

#include "addressing.hpp"
#include "failure.hpp"
#include "grid.hpp"
#include "reader.hpp"
#include "threads.hpp"
#include "windows.hpp"

namespace pocketrec {
namespace {

constexpr int64_t kTile = 2048;           // addresses that are found before their vectors are read; 16 KiB
constexpr int64_t kLeastBlocks = 16;      // so that outputs of a tile of blocks stay in the cache
constexpr int64_t kManyBlocks = 16;       // per vector, from which on ids that come several times are worth finding
constexpr int64_t kWorthFinding = 256;    // ids of a field from which on they are looked for
constexpr int64_t kPoolTile = 64;         // vectors that are read before they are pooled
constexpr int64_t kDistinctNumbers = 1 << 18;  // of vectors whose ids are told apart together: 1 MiB
constexpr int64_t kNumbersPerPart = 1 << 16;  // a thread is worth waking for about this many numbers

// Outputs from this size on are written past the caches, which would not hold them until they are read: a quarter less
// time at dim 64 and 128 (batch 2048 of 26 ids), and the rows of the tables stay where they are. Streams need alignment.
constexpr int64_t kStreamBytes = int64_t{4} << 20;
constexpr int64_t kStreamNumbers = 16;

bool is_streamed(const pr_request& request, const float* out) {
    const int64_t bytes = request.batch * request.fields * request.dim * static_cast<int64_t>(sizeof(float));
    return bytes >= kStreamBytes && request.dim % kStreamNumbers == 0 && reinterpret_cast<uintptr_t>(out) % 64 == 0;
}

class Lookup {
  public:
    Lookup(const pr_request& request, float* out)
        : request_(request), fields_(read_program(request)), prepared_(prepare(fields_)), regions_(request), out_(out) {
        check_blocks(fields_, request);
        if (request.offsets) check_offsets(request);
    }

    void run() {
        if (request_.offsets && request_.pooling == PR_POOL_NONE)
            std::fill(out_, out_ + request_.columns * request_.dim, 0.0f);
        const int64_t values = request_.offsets ? request_.columns : request_.batch * request_.fields;
        const int64_t worth = 1 + values * request_.dim / kNumbersPerPart, threads = request_.threads;
        const int64_t most = threads > 1 ? threads * PARTS_PER_THREAD : 1;
        const int64_t parts = std::max(int64_t{1}, std::min({most, worth, request_.batch}));
        run_parts(parts, [&](int64_t part) {
            const int64_t begin = request_.batch * part / parts, end = request_.batch * (part + 1) / parts;
            Reader reader(request_, fields_, regions_);
            if (request_.offsets)
                bags(reader, begin, end);
            else
                cells(reader, begin, end);
        }, threads);
    }

  private:
    // Batch rows [begin, end) of a call in which every id is a bag of its own.
    void cells(Reader& reader, int64_t begin, int64_t end) const {
        const bool stream = is_streamed(request_, out_);
        const bool concat = request_.combining == PR_CONCAT;  // whose fields are read one after the other
        const int64_t width = request_.fields * request_.parts, dim = request_.dim, fields = request_.fields;
        if (concat && request_.parts >= kManyBlocks && end - begin >= kWorthFinding) return many_blocks(reader, begin, end);
        const int64_t rows = std::max(int64_t{1}, kTile / (concat ? std::max(request_.parts, kLeastBlocks) : width));
        const Grid grid(request_, fields_, prepared_);
        std::vector<int64_t> addresses(static_cast<size_t>(concat ? 0 : rows * width));
        for (int64_t b = begin; b < end; b += rows) {
            const int64_t count = std::min(rows, end - b);
            float* out = out_ + b * fields * dim;
            if (!concat) {
                grid.find(b, count, addresses.data());
                reader.rows(addresses.data(), count * fields, out, stream);
                continue;
            }
            for (int64_t f = 0; f < fields; ++f) {
                const Addressing& field = prepared_[static_cast<size_t>(f)];
                const Run run{request_.ids + b * request_.columns + field.field.column, request_.columns, count};
                reader.blocks(field, run, out + f * dim, fields * dim, stream);
            }
        }
    }

    // The same for vectors of many blocks: a field at a time, so that an id that comes again is found.
    void many_blocks(Reader& reader, int64_t begin, int64_t end) const {
        const int64_t dim = request_.dim, fields = request_.fields, most = std::max(kWorthFinding, kDistinctNumbers / dim);
        const bool stream = is_streamed(request_, out_);
        for (int64_t b = begin; b < end; b += most)
            for (int64_t f = 0; f < fields; ++f) {
                const Addressing& field = prepared_[static_cast<size_t>(f)];
                const Run run{request_.ids + b * request_.columns + field.field.column, request_.columns, std::min(most, end - b)};
                reader.distinct_blocks(field, run, out_ + (b * fields + f) * dim, fields * dim, stream);
            }
    }

    // Bags [begin, end) of every field.
    void bags(Reader& reader, int64_t begin, int64_t end) const {
        const int64_t dim = request_.dim, most = std::max(int64_t{1}, std::min(kPoolTile, kTile / request_.parts));
        const bool pools = request_.pooling != PR_POOL_NONE;
        std::vector<float> vectors(static_cast<size_t>(pools ? most * dim : 0));
        if (pools) std::fill(out_ + begin * request_.fields * dim, out_ + end * request_.fields * dim, 0.0f);
        const float* begun = nullptr;  // the output that has a greatest value already
        for_each_window(request_, prepared_, begin, end, most, [&](const Window& window) {
            float* to = pools ? vectors.data() : out_ + window.first * dim;
            reader.vectors(*window.addressing, window.run(request_), to);
            if (!pools) return;
            for_each_part_of_bag(window, [&](int64_t bag, int64_t first, int64_t last) {
                pool(window, bag, first, last, vectors.data(), begun);
            });
        });
    }

    // Adds the vectors of a part of a bag to its output, and divides by their number after the last.
    void pool(const Window& window, int64_t bag, int64_t first, int64_t last, const float* vectors,
              const float*& begun) const {
        const int64_t dim = request_.dim, begin = window.starts[bag], end = window.starts[bag + 1];
        float* out = out_ + (bag * request_.fields + window.number) * dim;
        for (int64_t i = first; i < last; ++i) {
            const int64_t value = window.first + i;
            if (window.field().is_padding(request_.ids[value])) continue;
            if (request_.pooling == PR_POOL_MAX)
                keep_greatest(vectors + i * dim, out, begun);
            else
                gather().add_scaled(vectors + i * dim, request_.weights ? request_.weights[value] : 1.0f, dim, out);
        }
        if (request_.pooling != PR_POOL_MEAN || window.first + last < end) return;
        const int64_t count = count_values(request_, window.field(), begin, end);
        if (!count) return;
        for (int64_t d = 0; d < dim; ++d) out[d] /= static_cast<float>(count);
    }

    void keep_greatest(const float* vector, float* out, const float*& begun) const {
        const bool first = begun != out;
        begun = out;
        for (int64_t d = 0; d < request_.dim; ++d)
            if (first || is_greater(vector[d], out[d])) out[d] = vector[d];
    }

    const pr_request& request_;
    std::vector<Field> fields_;
    std::vector<Addressing> prepared_;
    Regions regions_;
    float* out_;
};

}  // namespace
}  // namespace pocketrec

int pr_lookup(const pr_request* request, float* out, pr_error* error) {
    return pocketrec::guarded(error, [&] { pocketrec::Lookup(*request, out).run(); });
}
