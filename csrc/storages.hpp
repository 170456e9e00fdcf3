// Reading one stored row: for each storage its scales, kLanes numbers at a place, one number at a place; of codes also
// kLanes numbers at any place, of which some may stand before the row or behind it and mean nothing. Included like lanes.hpp.

struct ReadFloat32 {
    const uint8_t* row;
    POCKETREC_INLINE ReadFloat32(const uint8_t* row, int64_t) : row(row) {}
    POCKETREC_INLINE Floats at(int64_t d) const { return load<Floats>(row + d * 4); }
    POCKETREC_INLINE float one(int64_t d) const { return load<float>(row + d * 4); }
};

struct ReadFloat16 {
    const uint8_t* row;
    POCKETREC_INLINE ReadFloat16(const uint8_t* row, int64_t) : row(row) {}
    POCKETREC_INLINE Floats at(int64_t d) const { return float_of_halves(row + d * 2); }
    POCKETREC_INLINE float one(int64_t d) const { return float_of_half(load<uint16_t>(row + d * 2)); }
};

struct ReadBfloat16 {
    const uint8_t* row;
    POCKETREC_INLINE ReadBfloat16(const uint8_t* row, int64_t) : row(row) {}
    POCKETREC_INLINE Floats at(int64_t d) const { return bits_of<Floats>(wide_halves(row + d * 2) << 16); }
    POCKETREC_INLINE float one(int64_t d) const { return bits_of<float>(static_cast<uint32_t>(load<uint16_t>(row + d * 2)) << 16); }
};

struct ReadInt8 {
    const uint8_t* row;
    float scale, bias;
    POCKETREC_INLINE ReadInt8(const uint8_t* row, int64_t dim) : row(row), scale(load<float>(row + dim)), bias(load<float>(row + dim + 4)) {}
    POCKETREC_INLINE Floats at(int64_t d) const {
        return __builtin_convertvector(wide_bytes(row + d), Floats) * scale + bias;
    }
    POCKETREC_INLINE Floats any(int64_t d) const { return at(d); }
    POCKETREC_INLINE float one(int64_t d) const { return static_cast<float>(row[d]) * scale + bias; }
};

struct ReadInt16 {
    const uint8_t* row;
    float scale, bias;
    POCKETREC_INLINE ReadInt16(const uint8_t* row, int64_t dim)
        : row(row), scale(load<float>(row + dim * 2)), bias(load<float>(row + dim * 2 + 4)) {}
    POCKETREC_INLINE Floats at(int64_t d) const {
        return __builtin_convertvector(bits_of<Ints>(wide_halves(row + d * 2)), Floats) * scale + bias;
    }
    POCKETREC_INLINE Floats any(int64_t d) const { return at(d); }
    POCKETREC_INLINE float one(int64_t d) const {
        return static_cast<float>(load<uint16_t>(row + d * 2)) * scale + bias;
    }
};

// Two codes a byte, the even one in the low bits; `at` takes even places.
struct ReadInt4 {
#if defined(__AVX512F__)
    typedef uint64_t Codes;
#elif defined(__AVX2__)
    typedef uint32_t Codes;
#else
    typedef uint16_t Codes;
#endif
    const uint8_t* row;
    float scale, bias;
    POCKETREC_INLINE ReadInt4(const uint8_t* row, int64_t dim) : row(row) {
        const uint8_t* halves = row + (dim + 1) / 2;
#if defined(__F16C__)
        const __m128 both = _mm_cvtph_ps(_mm_cvtsi32_si128(load<int32_t>(halves)));
        scale = both[0], bias = both[1];
#else
        scale = float_of_half(load<uint16_t>(halves)), bias = float_of_half(load<uint16_t>(halves + 2));
#endif
    }
    POCKETREC_INLINE Floats at(int64_t d) const { return of(load<Codes>(row + d / 2)); }
    POCKETREC_INLINE Floats any(int64_t d) const {
        const uint8_t* place = row + (d >> 1);
        const uint64_t behind = place[kLanes / 2], half = static_cast<uint64_t>(d & 1) * 4;
        return of(static_cast<Codes>(load<Codes>(place) >> half | behind << (4 * kLanes - 4) << (4 - half)));
    }
    POCKETREC_INLINE float one(int64_t d) const { return static_cast<float>(row[d / 2] >> (d % 2 * 4) & 15) * scale + bias; }

  private:
    POCKETREC_INLINE Floats of(Codes codes) const {
#if defined(__AVX512F__)
        const __m128i pairs = _mm_cvtsi64_si128(static_cast<int64_t>(codes)), low = _mm_set1_epi8(15);
        const __m128i sixteen = _mm_unpacklo_epi8(_mm_and_si128(pairs, low), _mm_and_si128(_mm_srli_epi16(pairs, 4), low));
        return __builtin_convertvector(bits_of<Ints>(_mm512_maskz_cvtepu8_epi32(0xFFFF, sixteen)), Floats) * scale + bias;
#else
#if defined(__AVX2__)
        const Words eight = Words{} + codes;
        const Words shifts = {0, 4, 8, 12, 16, 20, 24, 28};
#else
        const Words eight = Words{} + static_cast<uint32_t>(codes);
        const Words shifts = {0, 4, 8, 12};
#endif
        return __builtin_convertvector(bits_of<Ints>((eight >> shifts) & 15), Floats) * scale + bias;
#endif
    }
};
