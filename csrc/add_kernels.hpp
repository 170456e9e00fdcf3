// Gradients added up by place, sums of squares, norms: a part of gather_kernels.hpp.

using pocketrec::Additions;

inline void add(const float* vector, int64_t dim, float* sum) {
    const int64_t whole = dim / kLanes * kLanes;
    for (int64_t d = 0; d < whole; d += kLanes) store<false>(sum + d, load<Floats>(sum + d) + load<Floats>(vector + d));
    for (int64_t d = whole; d < dim; ++d) sum[d] += vector[d];
}

// Sixteen sums, d modulo 16, then folded: an order that every level can keep.
POCKETREC_INLINE float sum_of_squares(const float* vector, int64_t dim) {
    constexpr int kSums = 16, kRegisters = kSums / kLanes;
    Floats sums[kRegisters] = {};
    const auto add_squares = [&](const float* numbers) POCKETREC_LAMBDA {
        for (int r = 0; r < kRegisters; ++r) {
            const Floats some = load<Floats>(numbers + r * kLanes);
            sums[r] += some * some;
        }
    };
    const int64_t whole = dim / kSums * kSums;
    for (int64_t d = 0; d < whole; d += kSums) add_squares(vector + d);
    if (whole < dim) {
        float rest[kSums] = {};
        for (int64_t d = whole; d < dim; ++d) rest[d - whole] = vector[d];
        add_squares(rest);
    }
    Four fours[4];
    __builtin_memcpy(fours, sums, sizeof fours);
    return one_of(four_of(fours));
}

void norms(const float* vectors, int64_t count, int64_t dim, float* out) {
    for (int64_t i = 0; i < count; ++i) out[i] = __builtin_sqrtf(sum_of_squares(vectors + i * dim, dim));
}

template <int kDim>
void add_rows_of(const Additions& additions, int64_t count, int32_t* next) {
    const int64_t dim = kDim ? kDim : additions.dim;
    constexpr int64_t kFar = 8;
    for (int64_t i = 0; i < count; ++i) {
        const int32_t place = additions.places[i];
        if (i + kFar < count) {
            const int32_t later = additions.places[i + kFar];
            if (later >= additions.begin && later < *next) {
                float* sum = additions.sums + later * dim;
                for (int64_t d = 0; d < dim; d += 16) __builtin_prefetch(sum + d, 1);
            }
        }
        if (place < additions.begin || place >= additions.end) continue;
        const float* vector = additions.vectors[i / additions.parts];
        float* sum = additions.sums + place * dim;
        if (place < *next) {
            add(vector, dim, sum);
        } else {
            __builtin_memcpy(sum, vector, static_cast<unsigned long>(dim) * sizeof(float));
            *next = place + 1;
        }
        if (additions.last[place] == additions.first + i) additions.squares[place] = sum_of_squares(sum, dim);
    }
}

void add_rows(const Additions& additions, int64_t count, int32_t* next) {
    switch (additions.dim) {
        case 16: return add_rows_of<16>(additions, count, next);
        case 32: return add_rows_of<32>(additions, count, next);
        case 64: return add_rows_of<64>(additions, count, next);
        case 128: return add_rows_of<128>(additions, count, next);
        default: return add_rows_of<0>(additions, count, next);
    }
}
