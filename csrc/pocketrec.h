/* The kernels of pocketrec as plain C: raw pointers and sizes in, a status out.
 *
 * Words (docs/words.md, src/pocketrec/native/program.py): a region is an array of rows; an address is an index into the
 * concatenation of the regions of one call, in rows, or in single weights when the program draws blocks; -1 is the null
 * address. A program has one row of PR_PROGRAM_COLUMNS numbers per field. The definition of every kernel is the
 * plain-torch reference of the same name in src/pocketrec/native.
 *
 * All arrays are contiguous, of the machine's byte order, and owned by the caller. Floats are aligned to 4 bytes and
 * int64 to 8; rows of storages int4, int8, int16, and entries, need no alignment. No kernel keeps a pointer. Two calls may run at once on
 * different outputs; the threads of a pool that sleeps (threads.hpp) are all that outlives a call.
 */
#ifndef POCKETREC_H
#define POCKETREC_H

#include <stdint.h>

/* Raised whenever arguments or meaning change; src/pocketrec/native/binding.py carries the same number. */
#define POCKETREC_ABI 14

#define PR_PROGRAM_COLUMNS 17
#define PR_LINEAR_MODULUS INT64_C(2038074743)
#define PR_WEIGHTS_PER_SCALE 64
#define PR_MOST_PICKS 8
#define PR_MOST_SLOTS 32
#define PR_MOST_CORES 4
#define PR_MOST_RANK 4096
#define PR_MOST_DEALT_BITS 60
#define PR_MOST_FUNCTION_BITS 32
#define PR_FUNCTION_SEEDS 64

#ifdef __cplusplus
extern "C" {
#endif

enum pr_status { PR_OK = 0, PR_ID_ERROR = 1, PR_VALUE_ERROR = 2, PR_MEMORY_ERROR = 3 };
/* A packed sparse store is two regions, one behind the other. The first is its index, int32 (or int64: PR_WIDE_...)
 * [rows / rows of a block + 1], where the entries of each block begin and the last one's end; places of entries have 8 or 16
 * bits. The second are the entries, PR_ENTRIES: so many bytes of place, lower first, and two of a float16. They have no
 * addresses. Rows of a block: the largest power of two for which all its numbers have a place. */
enum pr_storage {
    PR_FLOAT32 = 0, PR_FLOAT16 = 1, PR_BFLOAT16 = 2, PR_INT4 = 4, PR_INT8 = 8, PR_INT16 = 9,
    PR_SPARSE8 = 16, PR_SPARSE16 = 17, PR_WIDE_SPARSE8 = 18, PR_WIDE_SPARSE16 = 19, PR_ENTRIES = 20
};
enum pr_kind {
    PR_ROW = 0, PR_HASH = 1, PR_QUOTIENT_REMAINDER = 2, PR_BLOCK = 3, PR_LINEAR_BLOCK = 4, PR_MAPPED = 5, PR_HASHES = 6,
    PR_SIGNATURE = 7, PR_SETS = 8, PR_SKETCHED = 9, PR_TAGGED = 10, PR_KEYED_CODES = 11, PR_CHAIN = 12, PR_DIGITS = 13,
    PR_PAGED = 14, PR_PACKED_CODES = 15
};
enum pr_flag { PR_SIGN = 1, PR_ALIGNED = 2, PR_NO_WRAP = 4 };
enum pr_combining { PR_COPY = 0, PR_SUM = 1, PR_PRODUCT = 2, PR_CONCAT = 3, PR_CONTRACT = 4 };
enum pr_pooling { PR_POOL_NONE = 0, PR_POOL_SUM = 1, PR_POOL_MEAN = 2, PR_POOL_MAX = 3 };
enum pr_algorithm { PR_SGD = 0, PR_ROWWISE_ADAGRAD = 1, PR_ADAGRAD = 2, PR_ADAM = 3 };

/* What went wrong, in words with numbers; empty after PR_OK. */
typedef struct {
    char message[512];
} pr_error;

typedef struct {
    const void* data;
    int64_t rows; /* of dim numbers; of n for chains; for blocks: weights, or rows of 64 codes for int4, int8, int16; of an
                   * index: its numbers; of entries: how many */
    int64_t storage;
} pr_region;

/* The arguments that kernels share. `regions`, `dim`, `combining` and `pooling` are not read by pr_addresses. */
typedef struct {
    const pr_region* regions;
    int64_t region_count;
    const int64_t* ids; /* [batch, columns], or [columns] in all when there are offsets */
    int64_t batch;
    int64_t columns;
    const int64_t* offsets; /* NULL, or bag i of field f runs from offsets[f * stride + i] to the next number */
    int64_t offsets_stride;
    const float* weights; /* NULL, or one factor per id */
    const int64_t* program;
    int64_t fields;
    const void* maps; /* int32 or int64, as map_bytes says: 4 or 8 */
    int64_t map_bytes;
    int64_t map_entries;
    int64_t dim;
    int64_t parts;
    int64_t combining;
    int64_t pooling;
    int64_t threads; /* at most so many are used; 1 or more. Results do not depend on it. */
} pr_request;

/* out: int64 [values, parts], values = batch * fields, or as many as ids when there are offsets. */
int pr_addresses(const pr_request* request, int64_t* out, pr_error* error);

/* out: float [batch, fields, dim], or [ids, dim] when there are offsets and no pooling. */
int pr_lookup(const pr_request* request, float* out, pr_error* error);

/* Look-ups of the same ids [batch, columns] without offsets, of the same fields and dim, that complete each other. */
enum pr_join { PR_ALONE = 0, PR_REST = 1, PR_FACTOR = 2 };
typedef struct {
    const pr_request* request;
    int64_t join;  /* the first is PR_ALONE. PR_REST: it is asked for the ids for which the one before has no address, the
                    * others are its padding, which each of its fields has. PR_FACTOR, one at most, behind the first and
                    * in the place of rests: of dim 1, by which the vectors of the first are multiplied. */
    int64_t* asked; /* PR_REST: room for the ids it is asked, [batch, columns]; columns of no field are left alone. Its
                     * request has none. */
    int64_t* found; /* NULL, or room for int64 [batch, fields, parts]: the addresses of what it wrote, negative numbers for
                     * all else. Not for blocks. */
} pr_part;

/* out: float [batch, fields, dim]. */
int pr_lookup_joined(const pr_part* parts, int64_t count, float* out, pr_error* error);

/* grad: of the shape of pr_lookup's out. found: NULL, or what pr_lookup_joined found for these ids, which have no offsets
 * then, and are not looked for again; not for blocks and chains. addresses: room for `capacity` numbers, grads: for capacity * unit, where unit
 * is dim, 1 for blocks, and n for chains, whose addresses rise. squares: room for `capacity`, the sum of squares of each
 * gradient; blocks and chains leave it alone. *count: how many were written. Enough room is always values * parts, for
 * blocks values * dim, for chains values times the rows of the slices of an id; less is refused before anything is
 * written. */
int pr_compact(const pr_request* request, const float* grad, const int64_t* found, int64_t capacity, int64_t* addresses,
               float* grads, float* squares, int64_t* count, pr_error* error);

typedef struct {
    int64_t algorithm;
    double lr, eps, beta1, beta2, l2;
    int64_t step; /* from 1 */
    int64_t seed; /* of stochastic rounding; float32 regions need none */
    double scale_lr; /* 0: scale and bias of rows of codes are fitted anew. Above 0 the scale of PR_INT8 is kept, takes a
                      * step of this size, and the bias is -128 times it. */
    int64_t batch; /* data rows that the gradients are of, 1 or more; only scales that learn ask for it */
} pr_rule;

typedef struct {
    void* data;
    int64_t units;
    int64_t storage; /* PR_INT8, PR_INT16: rows of `unit` codes, scale and bias; never blocks of 64 */
} pr_rows;

/* regions: units of `unit` numbers each. state: float32, as many arrays per region as the algorithm has (sgd 0;
 * rowwise_adagrad 1 of one number per unit; adagrad 1 and adam 2 of `unit` numbers per unit), all first ones first; where
 * scales learn, behind them as many of one number per unit, which are read of regions of PR_INT8 alone.
 * addresses: `count` distinct ones; nothing is changed when one lies outside. grads: [count, unit]. threads: how many
 * may work, at least 1; the result does not depend on it. */
int pr_update(const pr_rows* regions, int64_t region_count, float* const* state, int64_t unit, const int64_t* addresses,
              const float* grads, int64_t count, const pr_rule* rule, int64_t threads, pr_error* error);

/* The interaction of a DLRM over vectors [batch, columns, dim], and low [batch, dim] as one vector more before them.
 * Storages are PR_FLOAT32 or PR_BFLOAT16. */
typedef struct {
    int64_t batch;
    int64_t columns;
    int64_t dim;
    int64_t low; /* 1, or 0: there is none */
    int64_t low_storage;
    int64_t vector_storage;
    int64_t out_storage;
} pr_interact;

/* out: [batch, (low ? dim : 0) + n (n - 1) / 2] with n = columns + low: the numbers of low, then the dot products of
 * vectors 1 and 0, 2 and 0, 2 and 1, ...; on up to `threads` threads, whose number changes no bit. */
int pr_interact_forward(const pr_interact* shape, const void* low, const void* vectors, void* out, int64_t threads,
                        pr_error* error);

/* grad: of out's shape and storage. grad_low and grad_vectors: of the shapes and storages of low and vectors. */
int pr_interact_backward(const pr_interact* shape, const void* grad, const void* low, const void* vectors,
                         void* grad_low, void* grad_vectors, int64_t threads, pr_error* error);

/* A linear layer: weight [outputs, inputs] and bias [outputs] (or NULL), both of `storage`, PR_FLOAT32 or PR_BFLOAT16. */
typedef struct {
    const void* weight;
    const void* bias;
    int64_t inputs;
    int64_t outputs;
    int64_t storage;
    int64_t relu; /* whether negative outputs become 0 */
} pr_layer;

/* The layers one after the other, at least one, for rows [row_count, inputs of the first]; out: [row_count, outputs of the
 * last]. For a few rows: each reads all weights. */
int pr_net(const pr_layer* layers, int64_t count, const float* rows, int64_t row_count, float* out, pr_error* error);

/* A DLRM's answer for a few rows: what pr_net of `bottom`, pr_lookup, pr_interact_forward and pr_net of `top` give one
 * after the other. dense: [request->batch, inputs of the first bottom layer]; without a bottom net it is not read. The
 * request has no offsets. out: [request->batch], what the top net gives for each row, one number. */
typedef struct {
    const pr_layer* bottom;
    int64_t bottom_count; /* 0: no dense numbers */
    const pr_layer* top;
    int64_t top_count;
} pr_dlrm_nets;

int pr_dlrm(const pr_dlrm_nets* nets, const pr_request* request, const float* dense, float* out, pr_error* error);

/* Sets: set i has members data[starts[i]] to data[starts[i + 1] - 1]; starts has count + 1 numbers, which the kernel checks,
 * and members says how many numbers data has. */
typedef struct {
    const int64_t* starts;
    int64_t count;
    const int32_t* data;
    int64_t members;
} pr_sets;

/* out: int64 [count, hashes], from 0: the least hash of each set's members under each hash; -1 for empty sets. */
int pr_minhash(const pr_sets* sets, int64_t hashes, int64_t seed, int64_t threads, int64_t* out, pr_error* error);

/* out: float32 [n, count], `count` hashes of each of n ids, from -1 to 1; or the sign of each, -1 or 1. */
int pr_hash_features(const int64_t* ids, int64_t n, int64_t seed, int64_t count, int sign, int64_t threads, float* out,
                     pr_error* error);

/* A codebook for each block of a row: words [blocks, block, codewords]; by the largest inner product, or the least distance. */
typedef struct {
    const float* words;
    int64_t blocks, block, codewords;
    int product;
} pr_codebooks;

/* out: int64 [n, blocks], the codeword that each block of queries [n, blocks, block] chooses; of the first limits[i] alone in
 * row i, unless limits is null. */
int pr_best_codes(const float* queries, int64_t n, const pr_codebooks* books, const int64_t* limits, int64_t threads,
                  int64_t* out, pr_error* error);

/* A function of distinct keys: `values` of `bits` (1 to PR_MOST_FUNCTION_BITS) each, from 0. */
typedef struct {
    const int64_t* keys;
    const int64_t* values;
    int64_t count;
    int64_t bits;
} pr_function;

/* words: as many as a function of so many keys has, none for none; the first is the seed, from 0 to PR_FUNCTION_SEEDS - 1. */
int pr_static_function(const pr_function* function, int32_t* words, pr_error* error);

/* out: [count], the L2 norm of each of the vectors [count, dim]. */
void pr_norms(const float* vectors, int64_t count, int64_t dim, float* out);

/* What a step touched: ids, the table of each, from 0 to table_count - 1, and how much its gradient says. Per table: the seed
 * of its keys, and the last id that a sketch is told of. */
typedef struct {
    const int64_t* ids;
    const int64_t* tables;
    const float* importance;
    int64_t count;
    const int64_t* seeds;
    const int64_t* lasts;
    int64_t table_count;
} pr_occurrences;

/* The key of each value up to its table's last id, its importance divided by the mean over its table (0 where that is 0), and
 * its place among all values; each with room for count numbers. kept: how many there are. */
int pr_scored_keys(const pr_occurrences* of, int64_t* keys, float* scores, int64_t* values, int64_t* kept,
                   pr_error* error);

/* A HotSketch: words holds `buckets` buckets of `slots` (1 to PR_MOST_SLOTS) times three: tag (0: free), score (float32
 * bits), place (from 0: the row that the key owns; below: no row, and the bits of its error with the sign set). */
typedef struct {
    int32_t* words;
    int64_t buckets;
    int64_t slots;
} pr_sketch;

/* A sifter: words holds `sets` sets of `ways` (1 to PR_MOST_SLOTS) times two: tag (0: free) and score (float32 bits), the
 * latest key of a set first. */
typedef struct {
    int32_t* words;
    int64_t sets;
    int64_t ways;
} pr_sifter;

/* Adds scores (finite, not negative) to keys, of which equal ones count once with their sum, and forwards those that have
 * `least` or more. values, forwarded: with room for count numbers, where each of these stands first in the call, and what is
 * forwarded of it; kept: how many there are. Nothing is changed when a score is refused. */
int pr_sift(const pr_sifter* sifter, const int64_t* keys, const float* scores, int64_t count, float least, int64_t* values,
            float* forwarded, int64_t* kept, pr_error* error);

/* What became of each distinct key of a call, in order of first occurrence; arrays with room for one per key of the call.
 * values: where it stands first in the call. slots: the slot in which it stands afterwards, or -1. hits: whether it stood
 * there before. released: the row that it took from its owner, or -1. */
typedef struct {
    int64_t* values;
    int64_t* slots;
    uint8_t* hits;
    int32_t* released;
} pr_inserted;

/* Adds scores (finite, not negative) to keys, of which equal ones count once with their sum. evict_hot: whether a key may
 * take the slot of one that owns a row. distinct: how many keys there are. Nothing is changed when a score is refused. */
int pr_sketch_insert(const pr_sketch* sketch, const int64_t* keys, const float* scores, int64_t count, int64_t evict_hot,
                     const pr_inserted* out, int64_t* distinct, pr_error* error);

/* In place: all scores and errors times a factor, 0 or more; they end at the largest float. */
int pr_sketch_decay(const pr_sketch* sketch, float factor, pr_error* error);

/* score: of all slots the one number `number` from above, from 1; 0 where there are fewer. guaranteed: scores less errors. */
int pr_sketch_score(const pr_sketch* sketch, int64_t number, int64_t guaranteed, float* score, pr_error* error);

/* Takes the rows of the keys whose score is below `least`; the keys stay. rows, with room for one per slot: the rows, in the
 * order of their slots; count: how many. */
int pr_sketch_demote(const pr_sketch* sketch, float least, int32_t* rows, int64_t* count, pr_error* error);

/* Keys that may come to own a row: the slot of each, or below 0, and NULL or which of them count at all. */
typedef struct {
    const int64_t* slots;
    const uint8_t* hits;
    int64_t count;
    int64_t guaranteed; /* scores are judged less their errors */
    float least;        /* score of a key with a row */
    int64_t most;
} pr_candidates;

/* values, with room for one per candidate: the first `most` that own no row and have the score, the first of each slot;
 * count: how many. */
int pr_sketch_due(const pr_sketch* sketch, const pr_candidates* of, int64_t* values, int64_t* count, pr_error* error);

/* Token i is data[offsets[i]] to data[offsets[i + 1]], which the caller has checked. out: int64 [count], from 0. */
void pr_hash63(const int64_t* offsets, int64_t count, const uint8_t* data, int64_t* out);

/* Asks the system to keep the whole 2 MiB pages inside these bytes as huge pages. Pages that were touched before are
 * gathered later, if ever: ask first. Returns how many bytes were asked for; 0 where the system has no such pages. The
 * values are neither read nor written. */
int64_t pr_advise_huge(void* data, int64_t bytes);

/* Lets freed memory stay with the process, up to so many bytes (below 2^31). Returns them, or 0 where the C library cannot
 * be told. */
int64_t pr_keep_freed(int64_t bytes);

#ifdef __cplusplus
}
#endif

#endif
