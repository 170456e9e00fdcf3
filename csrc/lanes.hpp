// Vectors of floats in the width of one SIMD level, by GCC's vector extension; for *_kernels.hpp only.
//
// Included inside an anonymous namespace by files that are compiled with different flags, so that no function of one
// level can stand in for another's at link time. For the same reason nothing of the C++ library is used here.

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

typedef float Floats __attribute__((vector_size(4 * kLanes)));
typedef int32_t Ints __attribute__((vector_size(4 * kLanes)));
typedef uint32_t Words __attribute__((vector_size(4 * kLanes)));
typedef uint16_t Halves __attribute__((vector_size(2 * kLanes)));
typedef uint8_t Bytes __attribute__((vector_size(kLanes)));

// 0, 1, 2, ... of each lane.
#if defined(__AVX512F__)
constexpr Ints kNumbered = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif defined(__AVX2__)
constexpr Ints kNumbered = {0, 1, 2, 3, 4, 5, 6, 7};
#else
constexpr Ints kNumbered = {0, 1, 2, 3};
#endif

// A call per row, or a register reloaded per row, would cost as much as the row.
#define POCKETREC_INLINE inline __attribute__((always_inline))
#define POCKETREC_LAMBDA __attribute__((always_inline))

// A number as an argument that is known when compiling.
template <int kValue>
struct Constant {
    constexpr operator int() const { return kValue; }
};

template <class To>
POCKETREC_INLINE To load(const void* from) {
    To to;
    __builtin_memcpy(&to, from, sizeof to);
    return to;
}

template <class To, class From>
POCKETREC_INLINE To bits_of(From from) {
    static_assert(sizeof(To) == sizeof(From), "the same bits");
    To to;
    __builtin_memcpy(&to, &from, sizeof to);
    return to;
}

// kLanes bytes, or halves of words, as whole words. GCC 12 makes scalar code of
// the vector extension's conversion, and warns of AVX-512 forms without a mask.
POCKETREC_INLINE Ints wide_bytes(const void* from) {
#if defined(__AVX512F__)
    return bits_of<Ints>(_mm512_maskz_cvtepu8_epi32(0xFFFF, _mm_loadu_si128(static_cast<const __m128i*>(from))));
#elif defined(__AVX2__)
    return bits_of<Ints>(_mm256_cvtepu8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(from))));
#else
    return __builtin_convertvector(load<Bytes>(from), Ints);
#endif
}

POCKETREC_INLINE Words wide_halves(const void* from) {
#if defined(__AVX512F__)
    return bits_of<Words>(_mm512_maskz_cvtepu16_epi32(0xFFFF, _mm256_loadu_si256(static_cast<const __m256i*>(from))));
#elif defined(__AVX2__)
    return bits_of<Words>(_mm256_cvtepu16_epi32(_mm_loadu_si128(static_cast<const __m128i*>(from))));
#else
    return __builtin_convertvector(load<Halves>(from), Words);
#endif
}

// Stores; with `stream`, `to` must be aligned to a vector and is not wanted in the caches.
template <bool stream>
POCKETREC_INLINE void store(float* to, Floats numbers) {
#if defined(__AVX512F__)
    if (stream) return _mm512_stream_ps(to, numbers);
#elif defined(__AVX2__)
    if (stream) return _mm256_stream_ps(to, numbers);
#endif
    __builtin_memcpy(to, &numbers, sizeof numbers);
}

typedef float Four __attribute__((vector_size(16)));
typedef int32_t Ints4 __attribute__((vector_size(16)));

// Sixteen sums to one: sum j and sum j + 8, then j + 4, and those four to one: j + 2, j + 1.
POCKETREC_INLINE Four four_of(const Four* sums) {
    return (sums[0] + sums[2]) + (sums[1] + sums[3]);
}

POCKETREC_INLINE float one_of(Four four) {
    const Four two = four + __builtin_shuffle(four, (Ints4{2, 3, 0, 1}));
    return two[0] + two[1];
}

inline void finish_stream() {
#if defined(__AVX2__)
    _mm_sfence();
#endif
}

// float16 to float32, exactly: the bits of the magnitude are moved to their place in a float, whose exponent is then
// too small by 112; a multiplication by 2^112 mends that, and makes subnormals right as well.
POCKETREC_INLINE Floats float_of_halves(const void* from) {
#if defined(__AVX512F__)
    return _mm512_maskz_cvtph_ps(0xFFFF, _mm256_loadu_si256(static_cast<const __m256i*>(from)));
#elif defined(__F16C__)
    return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(from)));
#else
    const Words wide = wide_halves(from);
    const Floats magnitude = bits_of<Floats>((wide & 0x7FFF) << 13) * 5.192296858534828e33f;
    const Words special = (Words)((wide & 0x7C00) == 0x7C00) & 0x7F800000;  // infinity and NaN keep all exponent bits
    return bits_of<Floats>(bits_of<Words>(magnitude) | special | (wide & 0x8000) << 16);
#endif
}

POCKETREC_INLINE float float_of_half(uint16_t half) {
#if defined(__F16C__)
    return _cvtsh_ss(half);
#else
    const uint32_t special = (half & 0x7C00u) == 0x7C00u ? 0x7F800000u : 0u;
    const float magnitude = bits_of<float>((half & 0x7FFFu) << 13) * 5.192296858534828e33f;
    return bits_of<float>(bits_of<uint32_t>(magnitude) | special | (half & 0x8000u) << 16);
#endif
}
