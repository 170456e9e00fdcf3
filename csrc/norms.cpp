// pr_norms: L2 norms of vectors; src/pocketrec/native/norms.py is the definition.
#include "gather.hpp"
#include "pocketrec.h"

void pr_norms(const float* vectors, int64_t count, int64_t dim, float* out) {
    pocketrec::gather().norms(vectors, count, dim, out);
}
