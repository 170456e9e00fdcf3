// Vectors out of blocks of shared arrays, for one SIMD level: the part of gather_kernels.hpp that reads them, which includes
// it after what it uses: Blocks, prefetch_to, fill_null, read_row.

// kLanes numbers from number d of a vector on, d a multiple of kLanes, with the signs of those changed whose bits are set.
POCKETREC_INLINE Floats with_signs(Floats numbers, const uint64_t* signs, int64_t d) {
#if defined(__AVX512F__)
    const __m512i words = bits_of<__m512i>(numbers);
    const __mmask16 flipped = load<uint16_t>(reinterpret_cast<const uint8_t*>(signs) + d / 8);
    return bits_of<Floats>(_mm512_mask_xor_epi32(words, flipped, words, bits_of<__m512i>(Words{} + 0x80000000u)));
#else
#if defined(__AVX2__)
    const Words above = {31, 30, 29, 28, 27, 26, 25, 24};
#else
    const Words above = {31, 30, 29, 28};
#endif
    const Words bits = Words{} + static_cast<uint32_t>(signs[d / 64] >> (d & 32));
    return bits_of<Floats>(bits_of<Words>(numbers) ^ (bits << (above - static_cast<uint32_t>(d % 32)) & 0x80000000u));
#endif
}

// Negates out[d] where bit d is set.
inline void apply_signs(const uint64_t* signs, int64_t dim, float* out) {
    const int64_t whole = dim / kLanes * kLanes;
    for (int64_t d = 0; d < whole; d += kLanes) store<false>(out + d, with_signs(load<Floats>(out + d), signs, d));
    for (int64_t d = whole; d < dim; ++d)
        out[d] = bits_of<float>(bits_of<uint32_t>(out[d]) ^ static_cast<uint32_t>(signs[d / 64] >> (d % 64)) << 31);
}

// kLanes numbers from blocks of 4 or 8 floats, which are shorter; place(i) is where block i begins. They meet in a
// register: a vector that is read back from where such blocks were copied to would wait for all their stores.
template <int kLength, class Place>
POCKETREC_INLINE Floats joined(Place place) {
#if defined(__AVX2__)
    const auto eight = [&](int64_t i) POCKETREC_LAMBDA {
        if (kLength == 8) return _mm256_loadu_ps(place(i));
        return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(place(2 * i))), _mm_loadu_ps(place(2 * i + 1)), 1);
    };
#endif
#if defined(__AVX512F__)
    return _mm512_insertf32x8(_mm512_castps256_ps512(eight(0)), eight(1), 1);
#elif defined(__AVX2__)
    return eight(0);
#else
    return load<Floats>(place(0));
#endif
}

// Consecutive weights of a shared array of floats. kCount: a length that is known when compiling, or 0. `bytes` are those of
// some weights, `reach` what lies between where the rows of those at an address begin and where they end.
template <class Read, int kBytes>
struct FloatArray {
    static constexpr int64_t bytes(int64_t count) { return count * kBytes; }
    static int64_t reach(int64_t, int64_t count) { return bytes(count); }
    static const uint8_t* place(const uint8_t* data, int64_t address) { return data + address * kBytes; }

    // Whether `at` takes blocks of so many weights.
    template <int kLength>
    static constexpr bool kTakes = kLength >= kLanes || (kBytes == 4 && kLength >= 4);

    // kLanes numbers from number d of a vector on, whose blocks of kLength weights begin at `starts`.
    template <int kLength>
    POCKETREC_INLINE static Floats at(const uint8_t* data, const int64_t* starts, int64_t d) {
        const int64_t* start = starts + d / kLength;
        if constexpr (kLength >= kLanes) return Read(place(data, *start), kLength).at(d % kLength);
        return joined<kLength>([=](int64_t i) POCKETREC_LAMBDA {
            return reinterpret_cast<const float*>(place(data, start[i]));
        });
    }

    // A whole vector of kCount numbers, with its signs unless they are NULL.
    template <int kCount, bool stream>
    POCKETREC_INLINE static void copy_vector(const uint8_t* data, int64_t address, const uint64_t* signs, float* out) {
        if (!signs) return read_row<Read, stream>(place(data, address), kCount, out);
        const Read read(place(data, address), kCount);
        for (int64_t d = 0; d < kCount; d += kLanes)
            store<stream>(out + d, with_signs(read.at(d), signs, d));
    }

    // A block of kLength numbers, which are those from number `from` on of a vector.
    template <int kLength, bool stream>
    POCKETREC_INLINE static void copy_signed(const uint8_t* data, int64_t address, const uint64_t* signs, int64_t from,
                                             float* out) {
        const Read read(place(data, address), kLength);
        for (int64_t d = 0; d < kLength; d += kLanes) {
            const Floats numbers = read.at(d);
            store<stream>(out + from + d, signs ? with_signs(numbers, signs, from + d) : numbers);
        }
    }

    template <int kCount>
    static void copy(const uint8_t* data, int64_t address, int64_t length, float* out) {
        const int64_t count = kCount ? kCount : length;
        read_row<Read, false>(place(data, address), count, out);
    }
};

// The same of an array of codes: rows of 64, each with its scale and bias.
template <class Read, int kBytes>
struct CodeArray {
    static constexpr int64_t bytes(int64_t count) { return (count + 63) / 64 * kBytes; }
    static int64_t reach(int64_t address, int64_t count) { return bytes(address % 64 + count); }
    static const uint8_t* place(const uint8_t* data, int64_t address) { return data + address / 64 * kBytes; }

    template <int kLength>
    static constexpr bool kTakes = false;

    // put(d, kLanes numbers from number d on), as long as so many are left; returns how many were put. Numbers that begin
    // in one row are of that one and of the next: codes of both are read as if each ran on, and each number is taken from
    // its own. Where they change over depends on the address, so that a branch would be foretold wrongly.
    template <class Put>
    POCKETREC_INLINE static int64_t walk(const uint8_t* data, int64_t address, int64_t count, Put put) {
        const uint8_t *row = place(data, address), *const end = place(data, address + count - 1);
        int64_t d = 0;
        for (int64_t first = address % 64; d + kLanes <= count; row += kBytes) {
            const bool is_last = row == end;  // there is no next one, and none is needed
            const Read here(row, 64), next(is_last ? row : row + kBytes, 64);
            const int64_t after = is_last ? 0 : 64;
            for (int v = 0; v < 64 / kLanes && d + kLanes <= count; ++v, d += kLanes) {
                const int64_t from = first + v * kLanes;
                put(d, kNumbered < static_cast<int32_t>(64 - from) ? here.any(from) : next.any(from - after));
            }
        }
        return d;
    }

    template <int kCount>
    static void copy(const uint8_t* data, int64_t address, int64_t length, float* out) {
        const int64_t count = kCount ? kCount : length;
        const auto put = [=](int64_t d, Floats numbers) POCKETREC_LAMBDA { store<false>(out + d, numbers); };
        int64_t d = kCount && kCount < kLanes ? 0 : walk(data, address, count, put);
        while (d < count) {
            const Read read(place(data, address + d), 64);
            for (int64_t first = (address + d) % 64; first < 64 && d < count; ++first, ++d) out[d] = read.one(first);
        }
    }

    template <int kCount, bool stream>
    static void copy_vector(const uint8_t* data, int64_t address, const uint64_t* signs, float* out) {
        walk(data, address, kCount, [=](int64_t d, Floats numbers) POCKETREC_LAMBDA {
            store<stream>(out + d, signs ? with_signs(numbers, signs, d) : numbers);
        });
    }
};

// One vector of blocks; kLength: weights per block, or 0 for lengths that have no loop of their own.
template <class Array, int kLength>
inline void copy_parts(const Blocks& blocks, const int64_t* start, const uint64_t* signs, float* out) {
    const int64_t dim = blocks.dim, length = kLength ? kLength : blocks.length;
    const int64_t last = blocks.start + blocks.size - length;  // the last address whose block does not run over the end
    for (int64_t d = 0; d < dim; ++start, d += length) {
        if (d + length <= dim && *start <= last) {
            Array::template copy<kLength>(blocks.data, *start, length, out + d);
            continue;
        }
        const int64_t needed = dim - d < length ? dim - d : length, before_end = last + length - *start;
        const int64_t first = needed < before_end ? needed : before_end;
        Array::template copy<0>(blocks.data, *start, first, out + d);
        Array::template copy<0>(blocks.data, blocks.start, needed - first, out + d + first);
    }
    if (signs) apply_signs(signs, dim, out);
}

template <class Array, int kLength, int kLevel = 3>
POCKETREC_INLINE void prefetch_block(const Blocks& blocks, int64_t start) {
    const int64_t length = kLength ? kLength : blocks.length;
    prefetch_to<kLevel>(Array::place(blocks.data, start), Array::reach(start, length), false);
}

// Blocks of many values are asked for ahead, so that so many lines are under way; the first ones of a call, too.
template <class Array, int kLength, class Copy>
POCKETREC_INLINE void for_each_value(const Blocks& blocks, const int64_t* starts, int64_t count, Copy copy) {
    constexpr int64_t kBlocks = 64;
    const int64_t parts = blocks.parts, words = (blocks.dim + 63) / 64, all = count * parts;
    const int64_t far = parts < kBlocks ? kBlocks / parts * parts : parts;
    if constexpr (Array::bytes(kLength) > 64) {  // in two steps, as in read_rows
        const int64_t near = kNearRows * parts, behind = near + kFarRows * parts;
        for (int64_t p = 0; p < near && p < all; ++p) prefetch_block<Array, kLength>(blocks, starts[p]);
        for (int64_t p = near; p < behind && p < all; ++p) prefetch_block<Array, kLength, 2>(blocks, starts[p]);
        for (int64_t i = 0; i < all; i += parts) {
            for (int64_t p = i + behind; p < i + behind + parts && p < all; ++p) prefetch_block<Array, kLength, 2>(blocks, starts[p]);
            for (int64_t p = i + near; p < i + near + parts && p < all; ++p) prefetch_block<Array, kLength>(blocks, starts[p]);
            copy(starts + i, blocks.signs ? blocks.signs + i / parts * words : nullptr);
        }
        return;
    }
    for (int64_t p = 0; p < far && p < all; ++p) prefetch_block<Array, kLength>(blocks, starts[p]);
    for (int64_t i = 0; i < all; i += parts) {
        for (int64_t p = i + far; p < i + far + parts && p < all; ++p) prefetch_block<Array, kLength>(blocks, starts[p]);
        copy(starts + i, blocks.signs ? blocks.signs + i / parts * words : nullptr);
    }
}

template <class Array, int kLength>
void copy_blocks(const Blocks& blocks, const int64_t* starts, int64_t count, float* out, int64_t out_stride) {
    for_each_value<Array, kLength>(blocks, starts, count, [&](const int64_t* start, const uint64_t* signs) POCKETREC_LAMBDA {
        if (*start < 0)
            fill_null<false>(*start, out, blocks.dim);
        else
            copy_parts<Array, kLength>(blocks, start, signs, out);
        out += out_stride;
    });
}

// The same for whole blocks that the array takes as vectors.
template <class Array, int kLength, bool stream>
void join_blocks(const Blocks& blocks, const int64_t* starts, int64_t count, float* out, int64_t out_stride) {
    const int64_t dim = blocks.dim, parts = blocks.parts, last = blocks.start + blocks.size - kLength;
    for_each_value<Array, kLength>(blocks, starts, count, [&](const int64_t* start, const uint64_t* signs) POCKETREC_LAMBDA {
        int64_t room = 0;  // negative where a block runs over the end
        for (int64_t p = 0; p < parts; ++p) room |= last - start[p];
        if (*start < 0)
            fill_null<stream>(*start, out, dim);
        else if (room < 0)
            copy_parts<Array, kLength>(blocks, start, signs, out);
        else if (kLength > kLanes)  // a block at a time: its place is made out once
            for (int64_t d = 0; d < dim; d += kLength, ++start)
                Array::template copy_signed<kLength, stream>(blocks.data, *start, signs, d, out);
        else if (signs)
            for (int64_t d = 0; d < dim; d += kLanes)
                store<stream>(out + d, with_signs(Array::template at<kLength>(blocks.data, start, d), signs, d));
        else
            for (int64_t d = 0; d < dim; d += kLanes)
                store<stream>(out + d, Array::template at<kLength>(blocks.data, start, d));
        out += out_stride;
    });
    if (stream) finish_stream();
}

// The same where one block is a whole vector of kLength numbers.
template <class Array, int kLength, bool stream>
void copy_vectors(const Blocks& blocks, const int64_t* starts, int64_t count, float* out, int64_t out_stride) {
    constexpr int64_t kWords = (kLength + 63) / 64;
    const bool in_steps = Array::bytes(kLength) > 64;  // as in read_rows
    const int64_t near = in_steps ? kNearRows : 2 * kNearRows, far = in_steps ? kNearRows + kFarRows : near;
    const int64_t last = blocks.start + blocks.size - kLength;
    for (int64_t i = 0; i < near && i < count; ++i) prefetch_block<Array, kLength>(blocks, starts[i]);
    for (int64_t i = near; i < far && i < count; ++i) prefetch_block<Array, kLength, 2>(blocks, starts[i]);
    for (int64_t i = 0; i < count; ++i, out += out_stride) {
        if (in_steps && i + far < count) prefetch_block<Array, kLength, 2>(blocks, starts[i + far]);
        if (i + near < count) prefetch_block<Array, kLength>(blocks, starts[i + near]);
        const uint64_t* signs = blocks.signs ? blocks.signs + i * kWords : nullptr;
        if (starts[i] < 0)
            fill_null<stream>(starts[i], out, kLength);
        else if (starts[i] <= last)
            Array::template copy_vector<kLength, stream>(blocks.data, starts[i], signs, out);
        else
            copy_parts<Array, kLength>(blocks, starts + i, signs, out);
    }
    if (stream) finish_stream();
}

// Blocks of kLength: those that are a whole vector, those of which vectors of registers are made, others.
template <class Array, int kLength>
void choose_length(const Blocks& blocks, const int64_t* starts, int64_t count, float* out, int64_t out_stride, bool stream) {
    if constexpr (kLength >= 16) {
        if (blocks.dim == kLength && stream) return copy_vectors<Array, kLength, true>(blocks, starts, count, out, out_stride);
        if (blocks.dim == kLength) return copy_vectors<Array, kLength, false>(blocks, starts, count, out, out_stride);
    }
    if constexpr (Array::template kTakes<kLength>) {
        constexpr int64_t kUnit = kLength < kLanes ? kLanes : kLength;
        if (blocks.dim % kUnit == 0)
            return stream ? join_blocks<Array, kLength, true>(blocks, starts, count, out, out_stride)
                          : join_blocks<Array, kLength, false>(blocks, starts, count, out, out_stride);
    }
    copy_blocks<Array, kLength>(blocks, starts, count, out, out_stride);
}

template <class Array>
void choose_blocks(const Blocks& blocks, const int64_t* starts, int64_t count, float* out, int64_t out_stride, bool stream) {
    const auto run = [&](auto length) POCKETREC_LAMBDA {
        choose_length<Array, length>(blocks, starts, count, out, out_stride, stream);
    };
    switch (blocks.length) {
        case 1: return run(Constant<1>{});
        case 2: return run(Constant<2>{});
        case 4: return run(Constant<4>{});
        case 8: return run(Constant<8>{});
        case 16: return run(Constant<16>{});
        case 32: return run(Constant<32>{});
        case 64: return run(Constant<64>{});
        case 128: return run(Constant<128>{});
        default: return run(Constant<0>{});
    }
}

void blocks(const Blocks& blocks, const int64_t* starts, int64_t count, float* out, int64_t out_stride, bool stream) {
    switch (blocks.storage) {
        case 0: return choose_blocks<FloatArray<ReadFloat32, 4>>(blocks, starts, count, out, out_stride, stream);
        case 1: return choose_blocks<FloatArray<ReadFloat16, 2>>(blocks, starts, count, out, out_stride, stream);
        case 2: return choose_blocks<FloatArray<ReadBfloat16, 2>>(blocks, starts, count, out, out_stride, stream);
        case 4: return choose_blocks<CodeArray<ReadInt4, 36>>(blocks, starts, count, out, out_stride, stream);
        case 9: return choose_blocks<CodeArray<ReadInt16, 136>>(blocks, starts, count, out, out_stride, stream);
        default: return choose_blocks<CodeArray<ReadInt8, 72>>(blocks, starts, count, out, out_stride, stream);
    }
}
