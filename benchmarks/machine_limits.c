/* What memory can give at best: the least that any lookup or update must do. Compiled by machine_limits.py.
 * Rows are read with a prefetch `ahead` rows before their turn. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#if defined(__AVX2__) && defined(__F16C__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

static void prefetch(const char* row, int64_t row_bytes) {
    for (int64_t at = 0; at < row_bytes; at += 64) __builtin_prefetch(row + at, 0, 3);
    __builtin_prefetch(row + row_bytes - 1, 0, 3);
}

static uint64_t sum_of(const char* row, int64_t row_bytes) {
    uint64_t sum = 0, word;
    int64_t at = 0;
    for (; at + 8 <= row_bytes; at += 8) {
        memcpy(&word, row + at, 8);
        sum += word;
    }
    for (; at < row_bytes; ++at) sum += (uint8_t)row[at];
    return sum;
}

#if defined(__AVX512F__)
typedef float Wide __attribute__((vector_size(64)));
#elif defined(__AVX__)
typedef float Wide __attribute__((vector_size(32)));
#else
typedef float Wide __attribute__((vector_size(16)));
#endif

/* Multiplies and adds `count` pairs of float32 that are in registers, which is all that a matrix product must do. Twelve
 * sums are enough to hide an operation's latency. */
float multiply_adds(int64_t count) {
    enum { SUMS = 12, LANES = sizeof(Wide) / sizeof(float) };
    Wide sums[SUMS], factor = {0};
    for (int j = 0; j < SUMS; ++j) sums[j] = factor + (float)j;
    factor += 0.999f;
    for (int64_t done = 0; done < count; done += SUMS * LANES)
        for (int j = 0; j < SUMS; ++j) sums[j] = sums[j] * factor + factor;
    for (int j = 1; j < SUMS; ++j) sums[0] += sums[j];
    return sums[0][0];
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

typedef struct {
    pthread_mutex_t mutex;
    pthread_cond_t called;
    int calls;           /* of the mutex */
    double at;           /* when the last call was made */
    _Atomic int answers; /* how many were heard */
    double* seconds;
    int rounds;
} Bell;

static void* listen(void* given) {
    Bell* bell = given;
    for (int round = 0; round < bell->rounds; ++round) {
        pthread_mutex_lock(&bell->mutex);
        while (bell->calls <= round) pthread_cond_wait(&bell->called, &bell->mutex);
        bell->seconds[round] = now() - bell->at;
        pthread_mutex_unlock(&bell->mutex);
        atomic_store(&bell->answers, round + 1);
    }
    return 0;
}

/* Seconds from calling a sleeping thread until it runs, `rounds` times, while this thread is awake. Returns 0, or not when
 * there is no second thread. */
int wake_thread(int rounds, double pause, double* seconds) {
    Bell bell = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0, seconds, rounds};
    pthread_t thread;
    if (pthread_create(&thread, 0, listen, &bell)) return 1;
    for (int round = 0; round < rounds; ++round) {
        for (const double until = now() + pause; now() < until;) continue;
        pthread_mutex_lock(&bell.mutex);
        bell.calls = round + 1;
        bell.at = now();
        pthread_cond_signal(&bell.called);
        pthread_mutex_unlock(&bell.mutex);
        while (atomic_load(&bell.answers) <= round) continue;
    }
    return pthread_join(thread, 0);
}

/* Reads all of memory in order. */
uint64_t read_all(const char* memory, int64_t bytes) {
    return sum_of(memory, bytes);
}

/* One word of each line that a row may lie on: the rest comes with it. */
static uint64_t touch(const char* row, int64_t row_bytes) {
    uint64_t sum = (uint8_t)row[row_bytes - 1];
    for (int64_t at = 0; at < row_bytes; at += 64) sum += (uint8_t)row[at];
    return sum;
}

/* Reads rows by their numbers, and does nothing with them. */
uint64_t read_rows(const char* table, const int64_t* ids, int64_t count, int64_t row_bytes, int64_t ahead) {
    uint64_t sum = 0;
    for (int64_t i = 0; i < count; ++i) {
        if (i + ahead < count) prefetch(table + ids[i + ahead] * row_bytes, row_bytes);
        sum += touch(table + ids[i] * row_bytes, row_bytes);
    }
    return sum;
}

/* Reads rows of floats, changes them and writes them back. */
void change_rows(float* table, const int64_t* ids, int64_t count, int64_t floats, int64_t ahead) {
    for (int64_t i = 0; i < count; ++i) {
        if (i + ahead < count) prefetch((const char*)(table + ids[i + ahead] * floats), floats * 4);
        float* row = table + ids[i] * floats;
        for (int64_t d = 0; d < floats; ++d) row[d] += 1e-9f;
    }
}

/* Writes memory through the caches. */
void write_all(char* memory, int64_t bytes, int value) {
    memset(memory, value, (size_t)bytes);
}

/* Writes memory past the caches; memory and bytes are multiples of 64. */
void stream_all(char* memory, int64_t bytes, int value) {
#if defined(__SSE2__)
    const __m128i word = _mm_set1_epi8((char)value);
    for (int64_t at = 0; at < bytes; at += 16) _mm_stream_si128((__m128i*)(memory + at), word);
    _mm_sfence();
#else
    memset(memory, value, (size_t)bytes);
#endif
}

void copy_all(char* to, const char* from, int64_t bytes) {
    memcpy(to, from, (size_t)bytes);
}

void copy_past(char* to, const char* from, int64_t bytes) {
#if defined(__SSE2__)
    for (int64_t at = 0; at < bytes; at += 16)
        _mm_stream_si128((__m128i*)(to + at), _mm_loadu_si128((const __m128i*)(from + at)));
    _mm_sfence();
#else
    memcpy(to, from, (size_t)bytes);
#endif
}

#if defined(__AVX2__) && defined(__F16C__)

static void store(float* out, __m256i codes, __m256 scale, __m256 bias) {
    _mm256_storeu_ps(out, _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(codes), scale), bias));
}

static void decode_int4(const char* row, int64_t dim, float* out) {
    const __m256i shifts = _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28), mask = _mm256_set1_epi32(15);
    int32_t both, codes;
    memcpy(&both, row + dim / 2, 4);
    const __m128 halves = _mm_cvtph_ps(_mm_cvtsi32_si128(both));
    const __m256 scale = _mm256_broadcastss_ps(halves), bias = _mm256_broadcastss_ps(_mm_movehdup_ps(halves));
    for (int64_t d = 0; d < dim; d += 8) {
        memcpy(&codes, row + d / 2, 4);
        store(out + d, _mm256_and_si256(_mm256_srlv_epi32(_mm256_set1_epi32(codes), shifts), mask), scale, bias);
    }
}

static void decode_int8(const char* row, int64_t dim, float* out) {
    float scale, bias;
    memcpy(&scale, row + dim, 4);
    memcpy(&bias, row + dim + 4, 4);
    for (int64_t d = 0; d < dim; d += 8)
        store(out + d, _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)(row + d))), _mm256_set1_ps(scale),
              _mm256_set1_ps(bias));
}

/* Makes floats of rows of codes by their numbers: what a lookup does that is given addresses and trusts them. dim is a
 * multiple of 8 and, for the widths that count, known to the compiler. Returns 1, or 0 where nobody wrote it. */
int decode_rows(const char* table, const int64_t* ids, int64_t count, int64_t dim, int64_t bits, float* out, int64_t ahead) {
#define DECODE(decode, row_bytes, dim)                                                                         \
    for (int64_t i = 0; i < count; ++i) {                                                                       \
        if (i + ahead < count) prefetch(table + ids[i + ahead] * (row_bytes), row_bytes);                       \
        decode(table + ids[i] * (row_bytes), dim, out + i * (dim));                                             \
    }
    if (bits == 4 && dim == 16) {
        DECODE(decode_int4, 12, 16)
    } else if (bits == 4) {
        DECODE(decode_int4, dim / 2 + 4, dim)
    } else if (dim == 16) {
        DECODE(decode_int8, 24, 16)
    } else {
        DECODE(decode_int8, dim + 8, dim)
    }
    return 1;
}

#else

int decode_rows(const char* table, const int64_t* ids, int64_t count, int64_t dim, int64_t bits, float* out, int64_t ahead) {
    (void)table, (void)ids, (void)count, (void)dim, (void)bits, (void)out, (void)ahead;
    return 0;
}

#endif
