#include "cpu.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace pocketrec {
namespace {

Level lowered(Level available) {
    const char* word = std::getenv("POCKETREC_SIMD");
    if (!word || !*word) return available;
    for (Level known : {Level::generic, Level::avx2, Level::avx512})
        if (!std::strcmp(word, name(known))) return std::min(known, available);
    std::fprintf(stderr, "pocketrec: POCKETREC_SIMD must be generic, avx2 or avx512, got \"%s\": generic is used\n",
                 word);
    return Level::generic;
}

}  // namespace

#if defined(__x86_64__)

Level available_level() {
    // __builtin_cpu_supports asks the operating system too (whether it saves the wide registers), but not every
    // compiler knows the word "f16c". Its instructions work on registers that "avx2" vouches for.
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    __get_cpuid(1, &eax, &ebx, &ecx, &edx);
    __builtin_cpu_init();
    if (!(ecx & bit_F16C) || !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return Level::generic;
    const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    return wide ? Level::avx512 : Level::avx2;
}

#else

Level available_level() { return Level::generic; }

#endif

Level level() {
    static const Level chosen = lowered(available_level());
    return chosen;
}

const char* name(Level level) {
    return level == Level::avx512 ? "avx512" : level == Level::avx2 ? "avx2" : "generic";
}

}  // namespace pocketrec
