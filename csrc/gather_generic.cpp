// gather.hpp for level generic.
#include "gather_kernels.hpp"

const pocketrec::Gather pocketrec::kGatherGeneric = {rows, sums, products, blocks, add_scaled, add_rows, nullptr,
                                                   nullptr, nullptr, nullptr, nullptr, norms};
