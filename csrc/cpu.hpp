// Which instructions the kernels may use. Kernels are compiled once per level and give the same bits at each.
#pragma once

namespace pocketrec {

// avx2: AVX2, FMA and F16C. avx512: avx2 and AVX-512 F, BW, VL and DQ. Other architectures have generic only.
enum class Level { generic = 0, avx2 = 1, avx512 = 2 };

// What processor and operating system support.
Level available_level();

// The level in use: the available one, lowered (never raised) by the environment variable POCKETREC_SIMD, which is read
// once, by the first call. Python refuses other words than the names; without Python, a word that is none means generic
// and is told on stderr.
Level level();

// "generic", "avx2" or "avx512", the words of POCKETREC_SIMD.
const char* name(Level level);

}  // namespace pocketrec
