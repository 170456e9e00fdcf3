// net.hpp for level avx2.
#include "net_kernels.hpp"

void pocketrec::layer_avx2(const pr_layer& layer, float* row, float* out) {
    compute(layer, row, out);
}
