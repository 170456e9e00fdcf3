#include "cpu.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace pocketrec {
namespace {

Level available() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return Level::generic;
    const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    return wide ? Level::avx512 : Level::avx2;
#else
    return Level::generic;
#endif
}

Level lowered(Level most) {
    const char* word = std::getenv("POCKETREC_SIMD");
    if (!word || !*word || !std::strcmp(word, "avx512")) return most;
    return std::min(most, std::strcmp(word, "avx2") ? Level::generic : Level::avx2);
}

}  // namespace

Level level() {
    static const Level chosen = lowered(available());
    return chosen;
}

}  // namespace pocketrec
