// Addresses of several ids at once, for levels whose registers make that pay; addressing.cpp and mix.hpp have the scalar
// form, addresses.py and mix.py the definition. Included like lanes.hpp.

#if defined(__AVX2__)

constexpr int kWide = kLanes / 2;

typedef uint64_t Longs __attribute__((vector_size(8 * kWide)));
typedef int64_t SignedLongs __attribute__((vector_size(8 * kWide)));

// word * factor. AVX2 has no such product: the one of the lower halves and, in one instruction, the lower halves of both
// crosswise ones, which count in the upper half; the compiler's own way takes one more.
POCKETREC_INLINE Longs times(Longs word, uint64_t factor) {
#if defined(__AVX512F__)
    return word * factor;
#else
    const Longs swapped = Longs{} + (factor << 32 | factor >> 32);
    const Longs cross = bits_of<Longs>(_mm256_mullo_epi32(bits_of<__m256i>(word), bits_of<__m256i>(swapped)));
    const Longs low = bits_of<Longs>(_mm256_mul_epu32(bits_of<__m256i>(word), bits_of<__m256i>(Longs{} + factor)));
    return low + (cross << 32) + (cross & 0xFFFFFFFF00000000u);
#endif
}

POCKETREC_INLINE Longs fin(Longs word) {
    word = times(word ^ (word >> 30), 0xBF58476D1CE4E5B9u);
    word = times(word ^ (word >> 27), 0x94D049BB133111EBu);
    return word ^ (word >> 31);
}

POCKETREC_INLINE Longs mix(Longs word, uint64_t seed) {
    return fin(fin(word + pocketrec::added(seed)) ^ pocketrec::flipped(seed));
}

// Products of the lower halves, which one instruction makes; a product of whole words takes seven.
POCKETREC_INLINE Longs product_of_halves(Longs a, Longs b) {
#if defined(__AVX512F__)
    return bits_of<Longs>(_mm512_maskz_mul_epu32(0xFF, bits_of<__m512i>(a), bits_of<__m512i>(b)));
#else
    return bits_of<Longs>(_mm256_mul_epu32(bits_of<__m256i>(a), bits_of<__m256i>(b)));
#endif
}

// (word >> 1) * buckets >> 63, for buckets below 2^32: in two halves, the upper one of 31 bits.
POCKETREC_INLINE Longs bucket(Longs word, Longs buckets) {
    return (product_of_halves(word >> 33, buckets) + (product_of_halves(word >> 1, buckets) >> 32)) >> 31;
}

POCKETREC_INLINE void store_lower_halves(Longs words, int32_t* to) {
#if defined(__AVX512F__)
    const __m256i halves = _mm512_maskz_cvtepi64_epi32(0xFF, bits_of<__m512i>(words));
    __builtin_memcpy(to, &halves, sizeof halves);
#else
    const __m256i even = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
    const __m128i halves = _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(bits_of<__m256i>(words), even));
    __builtin_memcpy(to, &halves, sizeof halves);
#endif
}

POCKETREC_INLINE bool any(SignedLongs mask) {
#if defined(__AVX512F__)
    return _mm512_test_epi64_mask(bits_of<__m512i>(mask), bits_of<__m512i>(mask));
#else
    return !_mm256_testz_si256(bits_of<__m256i>(mask), bits_of<__m256i>(mask));
#endif
}

// How the signs of a block come: not at all, as some bits of a word, or as whole words.
enum Signs { kNoSigns, kBitSigns, kWordSigns };

// kVectors * kWide ids at once: hashes are long chains of operations, of which several run side by side; so each step is a
// loop without branches over all of them. False where an id is padding or refused; nothing of use was then written.
template <int kSigns, int kVectors>
POCKETREC_INLINE bool hash_some(const pocketrec::HashRule& rule, const int64_t* ids, int64_t ids_stride, int64_t* out,
                                int64_t out_stride, uint64_t* signs, int64_t signs_stride) {
    const uint64_t mask = (uint64_t{1} << (rule.length % 64)) - 1;
    const int64_t least = rule.exact > 0 ? rule.exact : -1;
    SignedLongs id[kVectors], left_out{};
    for (int v = 0; v < kVectors; ++v) {
        for (int j = 0; j < kWide; ++j) id[v][j] = ids[(v * kWide + j) * ids_stride];
        left_out |= (id[v] < 0) | (id[v] > rule.last) | (id[v] == rule.padding);
        // of blocks, ids that do not go by their hash; 0 may go by it with them
        if (rule.by_part) left_out |= id[v] <= least;
    }
    if (any(left_out)) return false;
    const auto put_signs = [&](int64_t place, const Longs* found) POCKETREC_LAMBDA {
        for (int v = 0; v < kVectors; ++v)
            for (int j = 0; j < kWide; ++j) signs[(v * kWide + j) * signs_stride + place / 64] = found[v][j];
    };
    Longs base[kVectors], hash[kVectors], word[kVectors] = {};
    for (int v = 0; v < kVectors; ++v) hash[v] = base[v] = mix(reinterpret_cast<Longs>(id[v]), rule.seed);
    for (int64_t part = 0; part < rule.parts; ++part) {
        if (rule.by_part)
            for (int v = 0; v < kVectors; ++v) hash[v] = mix(base[v], static_cast<uint64_t>(part));
        for (int v = 0; v < kVectors; ++v) {
            const Longs chosen = product_of_halves(bucket(hash[v], Longs{} + rule.buckets), Longs{} + rule.step);
            SignedLongs found = reinterpret_cast<SignedLongs>(chosen) + rule.start;
            if (!rule.by_part) found = id[v] < rule.exact ? id[v] + (rule.start - rule.exact) : found;
            for (int j = 0; j < kWide; ++j) out[(v * kWide + j) * out_stride + part] = found[j];
        }
        const int64_t place = part * rule.length, end = place + rule.length < rule.dim ? place + rule.length : rule.dim;
        if (kSigns == kBitSigns && place < end) {
            for (int v = 0; v < kVectors; ++v)
                word[v] |= (mix(hash[v] ^ pocketrec::kSignSalt, 1) & mask) << static_cast<uint64_t>(place % 64);
            if (end % 64 && end < rule.dim) continue;
            put_signs(place, word);
            for (int v = 0; v < kVectors; ++v) word[v] = Longs{};
        }
        for (int64_t d = place; kSigns == kWordSigns && d < end; d += 64) {
            const uint64_t number = static_cast<uint64_t>(1 + (d - place) / 64);
            for (int v = 0; v < kVectors; ++v) word[v] = mix(hash[v] ^ pocketrec::kSignSalt, number);
            put_signs(d, word);
        }
    }
    return true;
}

template <int kSigns>
int64_t hash_ids_of(const pocketrec::HashRule& rule, const int64_t* ids, int64_t ids_stride, int64_t count, int64_t* out,
                    int64_t out_stride, uint64_t* signs, int64_t signs_stride) {
    int64_t i = 0;
    const auto some = [&](auto vectors) POCKETREC_LAMBDA {
        for (; i + vectors * kWide <= count; i += vectors * kWide)
            if (!hash_some<kSigns, vectors>(rule, ids + i * ids_stride, ids_stride, out + i * out_stride, out_stride,
                                            signs + (kSigns ? i * signs_stride : 0), signs_stride))
                return;
    };
    some(Constant<4>{});
    some(Constant<2>{});
    some(Constant<1>{});
    return i;
}

int64_t hash_ids(const pocketrec::HashRule& rule, const int64_t* ids, int64_t ids_stride, int64_t count, int64_t* out,
                 int64_t out_stride, uint64_t* signs, int64_t signs_stride) {
    const auto run = !signs ? hash_ids_of<kNoSigns> : rule.length < 64 ? hash_ids_of<kBitSigns> : hash_ids_of<kWordSigns>;
    return run(rule, ids, ids_stride, count, out, out_stride, signs, signs_stride);
}

// Bucket and tag of each key.
POCKETREC_INLINE void put_tags(Longs key, uint64_t buckets, int64_t* own, int32_t* tags) {
    const Longs home = bucket(key, Longs{} + buckets), low = fin(key ^ pocketrec::kTagSalt) & 0xFFFFFFFFu;
    __builtin_memcpy(own, &home, sizeof home);
    store_lower_halves(low | (reinterpret_cast<Longs>(low == 0) & 1), tags);
}

// Buckets and tags of kVectors * kWide ids, whatever they are.
template <int kVectors>
POCKETREC_INLINE void tag_some(uint64_t seed, uint64_t buckets, const int64_t* ids, int64_t ids_stride, int64_t* own,
                               int32_t* tags) {
    Longs key[kVectors];
    for (int v = 0; v < kVectors; ++v) {
        Longs id{};
        for (int j = 0; j < kWide; ++j) id[j] = static_cast<uint64_t>(ids[(v * kWide + j) * ids_stride]);
        key[v] = mix(id, seed);
    }
    for (int v = 0; v < kVectors; ++v) put_tags(key[v], buckets, own + v * kWide, tags + v * kWide);
}

int64_t tag_ids(uint64_t seed, uint64_t buckets, const int64_t* ids, int64_t ids_stride, int64_t count, int64_t* own,
                int32_t* tags) {
    int64_t i = 0;
    for (; i + 2 * kWide <= count; i += 2 * kWide)
        tag_some<2>(seed, buckets, ids + i * ids_stride, ids_stride, own + i, tags + i);
    for (; i + kWide <= count; i += kWide)
        tag_some<1>(seed, buckets, ids + i * ids_stride, ids_stride, own + i, tags + i);
    return i;
}

void tag_row(const uint64_t* added, const uint64_t* flipped, uint64_t buckets, const int64_t* ids, int64_t fields,
             int64_t* own, int32_t* tags) {
    const int64_t whole = fields - kWide;
    const auto some = [&](int64_t f) POCKETREC_LAMBDA {
        const Longs inner = fin(load<Longs>(ids + f) + load<Longs>(added + f));
        put_tags(fin(inner ^ load<Longs>(flipped + f)), buckets, own + f, tags + f);
    };
    for (int64_t f = 0; f < whole; f += kWide) some(f);
    some(whole);  // the last ones, some of them once more
}

// Addresses of kWide fields from `f` on of one batch row; all bits of an element are set where the id is refused.
template <bool kHashes>
POCKETREC_INLINE SignedLongs grid_of(const pocketrec::GridRules& rules, const int64_t* ids, int64_t f, int64_t* out) {
    const auto of = [f](const int64_t* numbers) POCKETREC_LAMBDA { return load<SignedLongs>(numbers + f); };
    const SignedLongs id = load<SignedLongs>(ids + f), last = of(rules.last);
    const SignedLongs padding = (id == of(rules.padding)) & of(rules.has_padding);
    SignedLongs other = of(rules.other);
    if (kHashes) {
        const Longs inner = fin(reinterpret_cast<Longs>(id) + load<Longs>(rules.added + f));
        const Longs hash = fin(inner ^ load<Longs>(rules.flipped + f));
        other += reinterpret_cast<SignedLongs>(bucket(hash, load<Longs>(rules.buckets + f)));
    }
    const SignedLongs found = of(rules.exact) > id ? id + of(rules.own) : other;
    const SignedLongs address = found | padding;  // -1 has all bits
    __builtin_memcpy(out + f, &address, sizeof address);
    return ((id > last) | (id < 0)) & ~padding;
}

// Addresses of kWide fields from `f` on of one batch row, as pairs. Exact for n up to 2^31: in units of 2^-64,
// known * slope + offset is x / n, apart from whole numbers, and an excess t < known + 1 <= n, which does not carry
// over the next whole number since (n - 1) / n + n / 2^64 <= 1. Its upper half times n, in units of 2^-32, exceeds x by
// at most n * n / 2^64 <= 1/4, and falls short of it by less than n / 2^32 <= 1/2: with 1/2 added, its floor is x.
POCKETREC_INLINE SignedLongs pairs_of(const pocketrec::PairRules& rules, const int64_t* ids, int64_t f, int64_t* out) {
    const auto of = [f](const int64_t* numbers) POCKETREC_LAMBDA { return load<SignedLongs>(numbers + f); };
    const auto word_of = [f](const uint64_t* words) POCKETREC_LAMBDA { return load<Longs>(words + f); };
    const SignedLongs id = load<SignedLongs>(ids + f), n = of(rules.n);
    const SignedLongs padding = (id == of(rules.padding)) & of(rules.has_padding);
    const Longs known = reinterpret_cast<Longs>(n > id ? id : of(rules.fold)), slope = word_of(rules.slope);
    const Longs turns = product_of_halves(known, slope) + (product_of_halves(known, slope >> 32) << 32) + word_of(rules.offset);
    const Longs x = (product_of_halves(turns >> 32, reinterpret_cast<Longs>(n)) + (uint64_t{1} << 31)) >> 32;
    const Longs quotient = product_of_halves(x, word_of(rules.factor)) >> word_of(rules.shift);
    const Longs remainder = x - product_of_halves(quotient, word_of(rules.size));
    const SignedLongs first = (of(rules.first) + reinterpret_cast<SignedLongs>(quotient)) | padding;  // -1 has all bits
    const SignedLongs second = (of(rules.second) + reinterpret_cast<SignedLongs>(remainder)) | padding;
#if defined(__AVX512F__)
    const SignedLongs low = {0, 8, 1, 9, 2, 10, 3, 11}, high = {4, 12, 5, 13, 6, 14, 7, 15};
#else
    const SignedLongs low = {0, 4, 1, 5}, high = {2, 6, 3, 7};
#endif
    const SignedLongs former = __builtin_shuffle(first, second, low), latter = __builtin_shuffle(first, second, high);
    __builtin_memcpy(out + 2 * f, &former, sizeof former);
    __builtin_memcpy(out + 2 * f + kWide, &latter, sizeof latter);
    return ((id > of(rules.last)) | (id < 0)) & ~padding;
}

// Runs `of(ids, f, out)` for all fields of every batch row, until one has a refused id.
template <class Of>
POCKETREC_INLINE int64_t grid_rows(int64_t fields, int64_t parts, const int64_t* ids, int64_t ids_stride, int64_t count,
                                   int64_t* out, Of of) {
    const int64_t whole = fields - kWide;
    if (whole < 0) return 0;
    for (int64_t i = 0; i < count; ++i, ids += ids_stride, out += fields * parts) {
        SignedLongs refused{};
        for (int64_t f = 0; f < whole; f += kWide) refused |= of(ids, f, out);
        refused |= of(ids, whole, out);  // the last ones, some of them once more
        if (any(refused)) return i;
    }
    return count;
}

template <bool kHashes>
int64_t grid_rows_of(const pocketrec::GridRules& rules, const int64_t* ids, int64_t ids_stride, int64_t count, int64_t* out) {
    const auto of = [&rules](const int64_t* row, int64_t f, int64_t* to) POCKETREC_LAMBDA {
        return grid_of<kHashes>(rules, row, f, to);
    };
    return grid_rows(rules.fields, 1, ids, ids_stride, count, out, of);
}

int64_t grid(const pocketrec::GridRules& rules, const int64_t* ids, int64_t ids_stride, int64_t count, int64_t* out) {
    return rules.hashes ? grid_rows_of<true>(rules, ids, ids_stride, count, out)
                        : grid_rows_of<false>(rules, ids, ids_stride, count, out);
}

int64_t pairs(const pocketrec::PairRules& rules, const int64_t* ids, int64_t ids_stride, int64_t count, int64_t* out) {
    const auto of = [&rules](const int64_t* row, int64_t f, int64_t* to) POCKETREC_LAMBDA {
        return pairs_of(rules, row, f, to);
    };
    return grid_rows(rules.fields, 2, ids, ids_stride, count, out, of);
}

#endif
