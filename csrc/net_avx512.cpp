// net.hpp for level avx512.
#include "net_kernels.hpp"

void pocketrec::layer_avx512(const pr_layer& layer, float* row, float* out) {
    compute(layer, row, out);
}
