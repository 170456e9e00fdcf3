// pr_net: all layers of a net for a few rows, one row after the other. src/pocketrec/native/net.py is the definition.
#include "net.hpp"

#include <algorithm>
#include <vector>

#include "cpu.hpp"
#include "failure.hpp"

namespace pocketrec {
namespace {

LayerLoop chosen_layer() {
#if defined(__x86_64__)
    if (level() == Level::avx512) return layer_avx512;
    if (level() == Level::avx2) return layer_avx2;
#endif
    return layer_generic;
}

void net(const pr_layer* layers, int64_t count, const float* rows, int64_t row_count, float* out) {
    int64_t widest = layers[0].inputs;
    for (int64_t n = 0; n < count; ++n) widest = std::max(widest, layers[n].outputs);
    const LayerLoop compute = chosen_layer();
    std::vector<float> from(static_cast<size_t>(widest)), to(from);
    const int64_t width = layers[count - 1].outputs;
    for (int64_t row = 0; row < row_count; ++row) {
        std::copy_n(rows + row * layers[0].inputs, layers[0].inputs, from.data());
        for (int64_t n = 0; n < count; ++n) {
            compute(layers[n], from.data(), to.data());
            from.swap(to);
        }
        std::copy_n(from.data(), width, out + row * width);
    }
}

}  // namespace
}  // namespace pocketrec

int pr_net(const pr_layer* layers, int64_t count, const float* rows, int64_t row_count, float* out, pr_error* error) {
    return pocketrec::guarded(error, [&] {
        for (int64_t n = 1; n < count; ++n)
            if (layers[n].inputs != layers[n - 1].outputs)
                pocketrec::fail(PR_VALUE_ERROR, "layer %lld reads %lld numbers, the one before it gives %lld.",
                                pocketrec::say(n), pocketrec::say(layers[n].inputs), pocketrec::say(layers[n - 1].outputs));
        pocketrec::net(layers, count, rows, row_count, out);
    });
}
