// The rules that a program must keep: src/pocketrec/native/program_check.py, in the same order.
#include "program.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "failure.hpp"
#include "static_function.hpp"

namespace pocketrec {
namespace {

// start + a + (a number below size or n) must stay below 2^63.
constexpr int64_t kStartEnd = int64_t{1} << 61;
constexpr int64_t kSizeEnd = int64_t{1} << 62;

void require(bool fits, int64_t number, const Field& f, const char* rule) {
    if (!fits)
        fail(PR_VALUE_ERROR,
             "program field %lld: %s; its row is [%lld, %lld, %lld, %lld, %lld, %lld, %lld, %lld, %lld, %lld, %lld, "
             "%lld, %lld, %lld, %lld, %lld, %lld].",
             say(number), rule, say(f.column), say(f.kind), say(f.start), say(f.size), say(f.seed), say(f.a), say(f.b),
             say(f.n), say(f.padding), say(f.p), say(f.q), say(f.global), say(f.last), say(f.r), say(f.s), say(f.t), say(f.u));
}

bool is_coefficient(int64_t number) {
    return number >= 0 && number < PR_LINEAR_MODULUS;
}

void check_ranges(const Field& f, int64_t number) {
    require(f.kind >= PR_ROW && f.kind <= PR_PACKED_CODES, number, f, "kind must lie in 0..15");
    require(f.start >= 0 && f.start < kStartEnd, number, f, "start must lie in 0..2305843009213693951");
    require(f.a >= -1 && f.a < kStartEnd, number, f, "a must lie in -1..2305843009213693951");
    require(f.size >= 0 && f.size < kSizeEnd, number, f, "size must lie in 0..4611686018427387903");
    require(f.n >= 0 && f.n < kSizeEnd, number, f, "n must lie in 0..4611686018427387903");
    require(f.r >= 0 && f.r < kSizeEnd, number, f, "r must lie in 0..4611686018427387903");
    require(f.last == -1 || f.last >= 1, number, f, "limit must be -1, or 1 or more");
}

constexpr int64_t kMostKeys = int64_t{1} << 20;
constexpr int64_t kMostLeastHashes = 64;

// require, for the three kinds of hashed blocks, whose name the message begins with.
void require_blocks(bool fits, int64_t number, const Field& f, const char* rule) {
    if (fits) return;
    char named[160];
    const char* name = f.kind == PR_BLOCK ? "block" : f.kind == PR_SIGNATURE ? "signature" : "sets";
    std::snprintf(named, sizeof named, "%s needs %s", name, rule);
    require(false, number, f, named);
}

// What lies in the maps lies inside them; where there are no ids with a signature or a set nothing is read.
void check_signature(const Field& f, int64_t number, const pr_request& request) {
    const int64_t entries = request.map_entries;
    require_blocks(f.s >= 1 && f.s <= kMostKeys && f.t >= 1 && f.t <= 32, number, f, "1 <= s <= 1048576 and 1 <= t <= 32");
    require_blocks(f.u >= 1 && f.u <= PR_MOST_PICKS && f.u * f.t <= 62, number, f, "1 <= u <= 8 and u * t <= 62");
    require_blocks(request.map_bytes == 8, number, f, "maps of int64");
    require_blocks(f.global >= 0 && f.global <= entries && f.r <= (entries - f.global) / f.words(), number, f,
                   "global and r inside maps");
}

void check_sets(const Field& f, int64_t number, const pr_request& request) {
    const int64_t entries = request.map_entries;
    require_blocks(f.s >= 1 && f.s <= kMostLeastHashes, number, f, "1 <= s <= 64");
    require_blocks(request.map_bytes == 4, number, f, "maps of int32");
    require_blocks(f.global >= 0 && f.global < entries && f.r < entries - f.global, number, f, "global and r inside maps");
}

void check_hashed_blocks(const Field& f, int64_t number, const pr_request& request) {
    require_blocks(f.a >= 1 && f.size >= f.a, number, f, "1 <= a <= size");
    require_blocks(f.b >= 0 && f.b < 8, number, f, "flags b in 0..7");
    require_blocks(f.n == 0 || (f.p >= 0 && f.q >= 0 && f.p <= f.start && f.q <= (f.start - f.p) / f.n), number, f,
                   "p, q >= 0 and p + n * q <= start where n is above 0");
    if (f.kind == PR_SIGNATURE && f.r) check_signature(f, number, request);
    if (f.kind == PR_SETS && f.r) check_sets(f, number, request);
}

constexpr int64_t kMostFunctionKeys = int64_t{1} << 32;

// Everything that is read lies in start .. start + size: codewords never run over the end, and what a function says is
// looked at before it becomes an address.
void check_keyed_codes(const Field& f, int64_t number, const pr_request& request) {
    const int64_t parts = request.parts;
    require(f.a >= 1 && f.a <= f.size / parts, number, f, "keyed_codes needs a >= 1 and parts * a <= size");
    require(f.t >= 1 && f.t <= 16 && parts <= PR_MOST_FUNCTION_BITS / f.t, number, f,
            "keyed_codes needs 1 <= t <= 16 and parts * t <= 32");
    require(f.u >= 2 && f.u <= 16 && f.b > INT64_MIN && f.b <= 16, number, f,
            "keyed_codes needs 2 <= u <= 16 and -2**63 < b <= 16");
    require(f.n <= kMostFunctionKeys && f.r <= kMostFunctionKeys && f.s >= 0 && f.s <= kMostFunctionKeys, number, f,
            "keyed_codes needs n, r and s in 0..4294967296");
    const int64_t width = parts * f.a, end = f.start + f.size;
    require(f.p >= f.start && f.p <= end - width, number, f, "keyed_codes needs start <= p and p + parts * a <= start + size");
    if (!f.n && !f.r && !f.s) return;
    const int64_t codewords = f.r || f.s ? (int64_t{1} << f.t) + (int64_t{1} << f.u) - 2 : 0;
    require(f.q >= f.start && f.q <= end && f.n <= (end - f.q) / width - codewords, number, f,
            "keyed_codes needs start <= q and q + parts * a * (n + 2**t + 2**u - 2) <= start + size");
    require(request.map_bytes == 4, number, f, "keyed_codes needs maps of int32");
    const int64_t words = StaticFunction::words_of(f.n + f.r + f.s, f.u + f.key_bits()) +
                          StaticFunction::words_of(f.r, parts * f.t) + StaticFunction::words_of(f.n, f.own_bits());
    require(f.global >= 0 && f.global <= request.map_entries && words <= request.map_entries - f.global, number, f,
            "keyed_codes needs its functions inside maps");
}

constexpr int64_t kMostCoded = int64_t{1} << 40;
constexpr int64_t kMostCodeParts = int64_t{1} << 16;

// No code that its bits can hold leads out of start .. start + size, and all codes lie inside the maps.
void check_packed_codes(const Field& f, int64_t number, const pr_request& request) {
    const int64_t parts = request.parts;
    require(f.a >= 1 && f.a <= f.size / parts, number, f, "packed_codes needs a >= 1 and parts * a <= size");
    require(f.t >= 1 && f.t <= 16 && f.u >= 1 && f.u <= f.t && parts <= kMostCodeParts, number, f,
            "packed_codes needs 1 <= u <= t <= 16 and at most 65536 parts");
    require(f.n <= f.r && f.r <= kMostCoded, number, f, "packed_codes needs n <= r <= 1099511627776");
    if (!f.r) return;
    const int64_t end = f.start + f.size;
    require(f.p >= f.start && f.p <= end && f.a <= (end - f.p) / (parts << f.t), number, f,
            "packed_codes needs start <= p and p + parts * 2**t * a <= start + size");
    require(request.map_bytes == 4, number, f, "packed_codes needs maps of int32");
    bool inside = f.global >= 0 && f.global <= request.map_entries;
    const int64_t room = inside ? (request.map_entries - f.global) * 32 : 0;
    inside = inside && f.n <= room / (parts * f.t);
    inside = inside && f.r - f.n <= (room - f.n * parts * f.t) / (parts * f.u);
    require(inside, number, f, "packed_codes needs its codes inside maps");
}

// Cores of a tensor train: every slice of every id lies between start and the end of the last core.
void check_chain(const Field& f, int64_t number, const pr_request& request) {
    require(f.u >= 2 && f.u <= PR_MOST_CORES && f.u == request.parts, number, f, "chain needs 2 <= u <= 4, and u parts per value");
    require(f.n >= 1 && f.n <= PR_MOST_RANK, number, f, "chain needs n in 1..4096");
    require(f.seed >= 0 && f.seed <= PR_MOST_RANK, number, f, "chain needs seed in 0..4096");
    int64_t ids = 1;
    for (int64_t k = 0; k < PR_MOST_CORES; ++k) {
        const int64_t q = f.dim_factors()[static_cast<size_t>(k)], p = f.row_factors()[static_cast<size_t>(k)];
        require(k < f.u ? q >= 1 && q <= PR_MOST_RANK : q == 1, number, f, "chain needs factors of dim in 1..4096, those beyond u 1");
        require(k < f.u ? p >= 1 && p <= INT32_MAX : p == 1, number, f, "chain needs factors of rows in 1..2147483647, those beyond u 1");
        require(ids <= kSizeEnd / p, number, f, "chain needs factors of rows whose product is at most 4611686018427387904");
        ids *= p;
    }
    require(f.size >= 1 && f.size <= ids, number, f, "chain needs 1 <= size <= b * p * q * global");
}

// Whether the place of every id in the permutation of its table stays below 2^63.
bool has_permutation(const Field& f) {
    return f.n == 1 || f.p <= (INT64_MAX - f.q) / (f.n - 1);
}

// Rows that medium ids share.
bool has_shared_rows(const Field& f) {
    return f.u >= 0 && f.u <= INT32_MAX && f.q >= 0 && f.q < kStartEnd;
}

// The page of every id that is taken has an entry, and a place in a page is far below what a wild entry is cut to.
void check_paged(const Field& f, int64_t number, int64_t entries) {
    require(f.n >= 1 && f.n <= INT32_MAX, number, f, "paged needs n in 1..2147483647");
    require(f.q >= 0 && f.q < kStartEnd, number, f, "paged needs q in 0..2305843009213693951");
    const int64_t most = std::max(f.size - 1, f.a);
    require(f.b >= 0 && (most < 0 ? f.b <= entries : f.b < entries - (f.q + most) / f.n), number, f,
            "paged needs 0 <= b and b + (q + max(size - 1, a)) // n < entries of maps");
}

void check_kind(const Field& f, int64_t number, const pr_request& request) {
    const int64_t entries = request.map_entries;
    switch (f.kind) {
        case PR_ROW:
            require(f.b >= 0 && f.b <= f.size && (f.a == -1 || f.a >= f.b), number, f,
                    "row needs 0 <= b <= size, and a of -1 or at least b");
            break;
        case PR_HASH:
            require(f.size >= 1 && f.a >= 0, number, f, "hash needs size >= 1 and a >= 0");
            break;
        case PR_HASHES:
            require(f.size >= 1 && f.a >= 0, number, f, "hashes needs size >= 1 and a >= 0");
            require(f.n >= 1 && f.n <= request.parts, number, f, "hashes needs 1 <= n <= parts");
            break;
        case PR_QUOTIENT_REMAINDER:
            require(request.parts == 2, number, f, "quotient_remainder needs 2 parts per value");
            require(f.size >= 1 && f.n >= 1 && f.p >= 1 && f.a >= 0 && f.q >= 0, number, f,
                    "quotient_remainder needs size, n, p >= 1 and a, q >= 0");
            require(has_permutation(f), number, f, "quotient_remainder needs (n - 1) * p + q < 2**63");
            break;
        case PR_BLOCK:
        case PR_SIGNATURE:
        case PR_SETS:
            check_hashed_blocks(f, number, request);
            break;
        case PR_LINEAR_BLOCK:
            require(f.a >= 1 && f.size >= f.a && f.global >= 0, number, f,
                    "linear_block needs 1 <= a <= size and global >= 0");
            require(is_coefficient(f.seed) && is_coefficient(f.q) && is_coefficient(f.p), number, f,
                    "linear_block needs seed, p and q in 0..2038074742");
            break;
        case PR_MAPPED:
            require(f.b >= 0 && f.b <= entries - f.size && f.b < entries - f.a, number, f,
                    "mapped needs 0 <= b, b + size <= entries of maps and b + a < entries of maps");
            break;
        case PR_SKETCHED:
            require(f.size >= 1 && f.a >= 1 && f.a <= PR_MOST_SLOTS, number, f, "sketched needs size >= 1 and a in 1..32");
            // Not b + 3 a size <= entries, which may overflow.
            require(f.b >= 0 && f.b <= entries && f.size <= (entries - f.b) / (3 * f.a), number, f,
                    "sketched needs 0 <= b and b + 3 * a * size <= entries of maps");
            require(has_shared_rows(f), number, f, "sketched needs u in 0..2147483647 and q in 0..2305843009213693951");
            break;
        case PR_TAGGED:
            require(f.size >= 1, number, f, "tagged needs size >= 1");
            require(f.b >= 0 && f.b <= entries && f.size < entries - f.b && f.n < entries - f.b - f.size, number, f,
                    "tagged needs 0 <= b and b + size + 1 + n <= entries of maps");
            require(has_shared_rows(f), number, f, "tagged needs u in 0..2147483647 and q in 0..2305843009213693951");
            require(f.u == 0 || (f.r >= 0 && f.r <= entries && f.s >= 0 && f.size < entries - f.r &&
                                 f.s < entries - f.r - f.size),
                    number, f, "tagged needs r, s >= 0 and r + size + 1 + s <= entries of maps where u is above 0");
            break;
        case PR_KEYED_CODES:
            check_keyed_codes(f, number, request);
            break;
        case PR_PACKED_CODES:
            check_packed_codes(f, number, request);
            break;
        case PR_CHAIN:
            check_chain(f, number, request);
            break;
        case PR_DIGITS:
            require(f.u >= 1 && f.u <= request.parts, number, f, "digits needs 1 <= u <= parts");
            require(f.size >= 1 && f.n >= 1 && f.p >= 1 && f.q >= 0, number, f, "digits needs size, n, p >= 1 and q >= 0");
            require(f.size <= kStartEnd / f.u, number, f, "digits needs u * size <= 2**61");
            require(f.b >= 0 && f.b <= PR_MOST_DEALT_BITS && (!f.b || f.u <= f.b), number, f,
                    "digits needs b in 0..60, and u <= b unless b is 0");
            require(has_permutation(f), number, f, "digits needs (n - 1) * p + q < 2**63");
            break;
        case PR_PAGED:
            check_paged(f, number, entries);
            break;
        default:
            break;
    }
}

}  // namespace

std::vector<Field> read_program(const pr_request& request) {
    std::vector<Field> fields(static_cast<size_t>(request.fields));
    std::memcpy(fields.data(), request.program, fields.size() * sizeof(Field));
    for (int64_t number = 0; number < request.fields; ++number) {
        Field& field = fields[static_cast<size_t>(number)];
        check_ranges(field, number);
        check_kind(field, number, request);
        if (!request.offsets && (field.column < 0 || field.column >= request.columns))
            fail(PR_VALUE_ERROR, "program field %lld reads column %lld, ids have %lld.", say(number), say(field.column),
                 say(request.columns));
        field.last = field.last < 0 ? INT64_MAX : field.last - 1;
    }
    return fields;
}

void check_blocks(const std::vector<Field>& fields, const pr_request& request) {
    const bool concat = request.combining == PR_CONCAT, chain = request.combining == PR_CONTRACT;
    int64_t number = 0;
    for (const Field& field : fields) {
        require(chain == (field.kind == PR_CHAIN), number, field, "chain and combining CONTRACT need one another");
        const bool alike = field.dim_factors() == fields[0].dim_factors() && field.n == fields[0].n &&
                           field.outer_rank() == fields[0].outer_rank();
        require(!chain || (alike && field.a * field.r * field.s * field.t == request.dim), number, field,
                "chains of one call need the same factors of its dim, the same n and the same seed");
        require(concat || !field.is_block(), number, field, "blocks need combining CONCAT");
        require(!concat || field.is_block(), number, field, "combining CONCAT is for blocks");
        // Not dim <= parts * a, which may overflow.
        require(!concat || field.a >= (request.dim + request.parts - 1) / request.parts, number, field,
                "the blocks of all parts must cover dim");
        ++number;
    }
}

}  // namespace pocketrec
