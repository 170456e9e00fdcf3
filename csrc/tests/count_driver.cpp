// One call of a kernel, for callgrind to count: benchmarks/instruction_counts.py builds and runs it.
//
//   count_driver lookup|quotient_remainder|robe|update STORAGE DIM BATCH
//
// 26 fields of 2,000 rows each share one region; ids are spread by a multiplication, so that about half of a small
// batch is distinct. STORAGE is a number of enum pr_storage. robe reads blocks of 4 weights with signs from a float32
// array; quotient_remainder multiplies two rows; update is pr_compact, then pr_update by row-wise Adagrad.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "pocketrec.h"

namespace {

constexpr int64_t kFields = 26, kRows = 2000, kBlock = 4, kPrime = 104729;

// Bytes of a stored row: codes with float32 scale and bias (int8) or with float16 ones (int4), else floats.
int64_t row_bytes(int64_t storage, int64_t dim) {
    if (storage == 8) return dim + 8;
    if (storage == 4) return (dim + 1) / 2 + 4;
    return dim * (storage == PR_FLOAT32 ? 4 : 2);
}

std::vector<int64_t> program_of(const std::string& kernel) {
    std::vector<int64_t> program;
    for (int64_t f = 0; f < kFields; ++f) {
        if (kernel == "robe")
            program.insert(program.end(), {f, PR_BLOCK, 0, kFields * kRows, 77 + f, kBlock, PR_SIGN, 0, -1, 1, 0, 0, -1, 0, 0, 0, 0});
        else if (kernel == "quotient_remainder")
            program.insert(program.end(), {f, PR_QUOTIENT_REMAINDER, f * kRows, 40, 0, f * kRows + 50, 0, kRows, -1, 1237, 5, 0, -1, 0, 0, 0, 0});
        else
            program.insert(program.end(), {f, PR_ROW, f * kRows, kRows, 0, 0, 0, 0, -1, 1, 0, 0, -1, 0, 0, 0, 0});
    }
    return program;
}

void require(int status, const pr_error& error) {
    if (status == PR_OK) return;
    std::fprintf(stderr, "status %d: %s\n", status, error.message);
    std::exit(1);
}

// Gradients to distinct pairs, pairs to moved rows.
void update(const pr_request& request, std::vector<float>& rows, int64_t values) {
    const int64_t dim = request.dim;
    std::vector<float> grad(static_cast<size_t>(values * dim), 0.01f), grads(grad.size()), squares(static_cast<size_t>(values));
    std::vector<float> state(static_cast<size_t>(kFields * kRows), 1.0f);
    std::vector<int64_t> addresses(static_cast<size_t>(values));
    const pr_rule rule{PR_ROWWISE_ADAGRAD, 0.01, 1e-8, 0.0, 0.0, 0.0, 1, 0, 0.0, 1};
    const pr_rows region{rows.data(), kFields * kRows, PR_FLOAT32};
    float* sums = state.data();
    pr_error error;
    int64_t count = 0;
    require(pr_compact(&request, grad.data(), nullptr, values, addresses.data(), grads.data(), squares.data(), &count, &error), error);
    require(pr_update(&region, 1, &sums, dim, addresses.data(), grads.data(), count, &rule, 1, &error), error);
}

}  // namespace

int main(int count, char** words) {
    if (count != 5) return 2;
    const std::string kernel = words[1];
    const int64_t storage = std::atoll(words[2]), dim = std::atoll(words[3]), batch = std::atoll(words[4]);
    const bool blocks = kernel == "robe", pairs = kernel == "quotient_remainder";
    const int64_t values = batch * kFields, bytes = row_bytes(storage, dim) * kFields * kRows;
    std::vector<float> rows(static_cast<size_t>(bytes / 4 + 1), 0.0f);
    const std::vector<int64_t> program = program_of(kernel);
    std::vector<int64_t> ids(static_cast<size_t>(values));
    for (int64_t v = 0; v < values; ++v) ids[static_cast<size_t>(v)] = v * kPrime % kRows;

    const pr_region region{rows.data(), kFields * kRows, storage};
    pr_request request;
    std::memset(&request, 0, sizeof request);
    request.regions = &region;
    request.region_count = 1;
    request.ids = ids.data();
    request.batch = batch;
    request.columns = request.fields = kFields;
    request.program = program.data();
    request.map_bytes = 8;
    request.dim = dim;
    request.parts = blocks ? dim / kBlock : pairs ? 2 : 1;
    request.combining = blocks ? PR_CONCAT : pairs ? PR_PRODUCT : PR_COPY;
    request.pooling = PR_POOL_NONE;
    request.threads = 1;
    if (kernel == "update") {
        update(request, rows, values);
        return 0;
    }
    std::vector<float> out(static_cast<size_t>(values * dim));
    pr_error error;
    require(pr_lookup(&request, out.data(), &error), error);
    return 0;
}
