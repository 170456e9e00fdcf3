// net.hpp for level generic.
#include "net_kernels.hpp"

void pocketrec::layer_generic(const pr_layer& layer, float* row, float* out) {
    compute(layer, row, out);
}
