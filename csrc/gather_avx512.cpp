// gather.hpp for level avx512.
#include "gather_kernels.hpp"

const pocketrec::Gather pocketrec::kGatherAvx512 = {rows, sums, products, blocks, add_scaled, add_rows, hash_ids, tag_ids, tag_row,
                                                  grid, pairs, norms};
