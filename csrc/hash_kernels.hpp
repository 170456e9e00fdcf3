// Hashes of several ids at once, for levels whose registers make that pay; mix.hpp has the scalar form and mix.py the
// definition. Included like lanes.hpp.

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

inline bool any(SignedLongs mask) {
    int64_t found = 0;
    for (int j = 0; j < kWide; ++j) found |= mask[j];
    return found != 0;
}

int64_t hash_ids(const pocketrec::HashRule& rule, const int64_t* ids, int64_t ids_stride, int64_t count, int64_t* out,
                 int64_t out_stride, uint64_t* signs, int64_t signs_stride) {
    const uint64_t mask = rule.length < 64 ? (uint64_t{1} << rule.length) - 1 : ~uint64_t{0};
    int64_t i = 0;
    for (; i + kWide <= count; i += kWide) {
        SignedLongs id;
        for (int j = 0; j < kWide; ++j) id[j] = ids[(i + j) * ids_stride];
        if (any((id < 0) | (id == rule.padding))) return i;
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

#endif
