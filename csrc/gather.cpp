#include "gather.hpp"

#include "cpu.hpp"

namespace pocketrec {

const Gather& gather() {
#if defined(__x86_64__)
    if (level() == Level::avx512) return kGatherAvx512;
    if (level() == Level::avx2) return kGatherAvx2;
#endif
    return kGatherGeneric;
}

}  // namespace pocketrec
