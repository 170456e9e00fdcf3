// pr_compact of blocks: gradients of single weights of a shared array.
#pragma once

#include <cstdint>

#include "gradient.hpp"

namespace pocketrec {

// Writes the addresses of touched weights and the sum of the gradients of each; returns how many. Order: chunks of 64
// weights (address / 64) in order of first occurrence, rising within a chunk.
int64_t compact_blocks(const Gradient& gradient, int64_t* addresses, float* grads);

}  // namespace pocketrec
