// pr_interact and pr_interact_backward: src/pocketrec/native/interact.py is the definition; the loops are in
// interact_kernels.hpp. Rows of the batch are independent, so the number of threads changes no bit.
#include "interact.hpp"

#include <algorithm>
#include <vector>

#include "cpu.hpp"
#include "failure.hpp"
#include "threads.hpp"

namespace pocketrec {
namespace {

// Fewer rows than this are not worth waking a thread for.
constexpr int64_t LEAST_ROWS = 64;

const InteractLoops& loops() {
#if defined(__x86_64__)
    const Level now = level();
    if (now == Level::avx512) return interact_avx512;
    if (now == Level::avx2) return interact_avx2;
#endif
    return interact_generic;
}

// Room that is enough at every level: two blocks of vectors in whole registers, and a line of products that may be
// read and written some numbers beyond its end.
size_t scratch_numbers(const pr_interact& shape) {
    const int64_t count = shape.columns + 1, rows = (count + 15) / 16 * 16, width = (shape.dim + 15) / 16 * 16;
    return static_cast<size_t>(2 * rows * width + shape.dim + (count + 4) * (count + 3) / 2 + 64);
}

template <class Body>
void over_rows(const pr_interact& shape, int64_t threads, Body body) {
    const int64_t most = threads > 1 ? threads * PARTS_PER_THREAD : 1;
    const int64_t parts = std::clamp<int64_t>(shape.batch / LEAST_ROWS, 1, most);
    run_parts(parts, [&](int64_t part) {
        std::vector<float> scratch(scratch_numbers(shape));
        body(shape.batch * part / parts, shape.batch * (part + 1) / parts, scratch.data());
    }, threads);
}

}  // namespace
}  // namespace pocketrec

int pr_interact_forward(const pr_interact* shape, const void* low, const void* vectors, void* out, int64_t threads,
                        pr_error* error) {
    using namespace pocketrec;
    return guarded(error, [&] {
        over_rows(*shape, threads, [&](int64_t first, int64_t last, float* scratch) {
            loops().forward(*shape, first, last, low, vectors, out, scratch);
        });
    });
}

int pr_interact_backward(const pr_interact* shape, const void* grad, const void* low, const void* vectors,
                         void* grad_low, void* grad_vectors, int64_t threads, pr_error* error) {
    using namespace pocketrec;
    return guarded(error, [&] {
        over_rows(*shape, threads, [&](int64_t first, int64_t last, float* scratch) {
            loops().backward(*shape, first, last, grad, low, vectors, grad_low, grad_vectors, scratch);
        });
    });
}
