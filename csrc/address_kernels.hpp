// Addresses of several ids at once, for levels whose registers make that pay; addressing.cpp and mix.hpp have the scalar
// form, addresses.py and mix.py the definition. Included like lanes.hpp.

#if defined(__AVX2__)

constexpr int kWide = kLanes / 2;
typedef uint64_t Longs __attribute__((vector_size(8 * kWide)));
typedef int64_t SignedLongs __attribute__((vector_size(8 * kWide)));

inline Longs fin(Longs word) {
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9u;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EBu;
    return word ^ (word >> 31);
}

inline Longs mix(Longs word, uint64_t seed) {
    return fin(fin(word + 0x9E3779B97F4A7C15u * (seed + 1)) ^ (seed * 0xD6E8FEB86659FD93u));
}

// (word >> 1) * buckets >> 63, for buckets below 2^32: in two halves, the upper one of 31 bits.
inline Longs bucket(Longs word, uint64_t buckets) {
    const Longs upper = word >> 33, lower = (word >> 1) & 0xFFFFFFFFu;
    return (upper * buckets + (lower * buckets >> 32)) >> 31;
}

POCKETREC_INLINE bool any(SignedLongs mask) {
#if defined(__AVX512F__)
    return _mm512_test_epi64_mask(bits_of<__m512i>(mask), bits_of<__m512i>(mask));
#else
    return !_mm256_testz_si256(bits_of<__m256i>(mask), bits_of<__m256i>(mask));
#endif
}

int64_t hash_ids(const pocketrec::HashRule& rule, const int64_t* ids, int64_t ids_stride, int64_t count, int64_t* out,
                 int64_t out_stride, uint64_t* signs, int64_t signs_stride) {
    const uint64_t mask = rule.length < 64 ? (uint64_t{1} << rule.length) - 1 : ~uint64_t{0};
    int64_t i = 0;
    for (; i + kWide <= count; i += kWide) {
        SignedLongs id;
        for (int j = 0; j < kWide; ++j) id[j] = ids[(i + j) * ids_stride];
        if (any((id < 0) | (id > rule.last) | (id == rule.padding))) return i;
        const Longs base = mix(reinterpret_cast<Longs>(id), rule.seed);
        Longs word{};
        for (int64_t part = 0; part < rule.parts; ++part) {
            const Longs hash = rule.by_part ? mix(base, static_cast<uint64_t>(part)) : base;
            SignedLongs found = reinterpret_cast<SignedLongs>(bucket(hash, rule.buckets) * rule.step) + rule.start;
            if (rule.exact) found = id < rule.exact ? id + (rule.start - rule.exact) : found;
            for (int j = 0; j < kWide; ++j) out[(i + j) * out_stride + part] = found[j];
            const int64_t place = part * rule.length;
            if (!signs || place >= rule.dim) continue;
            word |= (mix(hash ^ pocketrec::kSignSalt, 1) & mask) << static_cast<uint64_t>(place % 64);
            if ((place + rule.length) % 64 && place + rule.length < rule.dim) continue;
            for (int j = 0; j < kWide; ++j) signs[(i + j) * signs_stride + place / 64] = word[j];
            word = Longs{};
        }
    }
    return i;
}

// Addresses of kWide fields from `f` on of one batch row; all bits of an element are set where the id is refused.
POCKETREC_INLINE SignedLongs row_addresses_of(const pocketrec::RowRules& rules, const int64_t* ids, int64_t f, int64_t* out) {
    const auto of = [f](const int64_t* numbers) { return load<SignedLongs>(numbers + f); };
    const SignedLongs id = load<SignedLongs>(ids + f), last = of(rules.last);
    const SignedLongs padding = (id == of(rules.padding)) & of(rules.has_padding);
    const SignedLongs found = of(rules.size) > id ? id + of(rules.start) : of(rules.fold);
    const SignedLongs address = found | padding;  // -1 has all bits
    __builtin_memcpy(out + f, &address, sizeof address);
    return ((id > last) | (id < 0)) & ~padding;
}

int64_t row_addresses(const pocketrec::RowRules& rules, const int64_t* ids, int64_t ids_stride, int64_t count, int64_t* out) {
    const int64_t fields = rules.fields, whole = fields - kWide;
    if (whole < 0) return 0;
    for (int64_t i = 0; i < count; ++i, ids += ids_stride, out += fields) {
        SignedLongs refused{};
        for (int64_t f = 0; f < whole; f += kWide) refused |= row_addresses_of(rules, ids, f, out);
        refused |= row_addresses_of(rules, ids, whole, out);  // the last ones, some of them once more
        if (any(refused)) return i;
    }
    return count;
}

#endif
