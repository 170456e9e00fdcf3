// pr_keep_freed: freed memory stays with the process. A step frees and asks for the same tens of megabytes again and
// again; if they go back to the system in between, each page is cleared and mapped anew (measured: a third of a step of
// 2048 x 26 rows of 128 numbers).
#include "pocketrec.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

int64_t pr_keep_freed(int64_t bytes) {
#if defined(__GLIBC__)
    constexpr int kLargestFromTheHeap = 32 << 20;  // the most that glibc takes here
    if (mallopt(M_MMAP_THRESHOLD, kLargestFromTheHeap) == 1 && mallopt(M_TRIM_THRESHOLD, static_cast<int>(bytes)) == 1)
        return bytes;
#else
    (void)bytes;
#endif
    return 0;
}
