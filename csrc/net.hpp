// A net for a few rows, between the C function (net.cpp) and the loops, which are compiled once per level.
#pragma once

#include <cstdint>

#include "pocketrec.h"

namespace pocketrec {

// out[o] = sum of weight[o, d] * row[d] over d, plus the bias, for all outputs of a layer; negative ones are 0 with relu.
// The row may be left in another order. All levels give the same bits.
using LayerLoop = void (*)(const pr_layer& layer, float* row, float* out);

void layer_generic(const pr_layer& layer, float* row, float* out);
void layer_avx2(const pr_layer& layer, float* row, float* out);
void layer_avx512(const pr_layer& layer, float* row, float* out);

}  // namespace pocketrec
