// gather.hpp for level avx2.
#include "gather_kernels.hpp"

const pocketrec::Gather pocketrec::kGatherAvx2 = {rows, sums, products, blocks, add_scaled, add_rows, hash_ids, tag_ids, tag_row,
                                                grid, pairs, norms};
