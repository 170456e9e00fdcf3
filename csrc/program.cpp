// The rules that a program must keep: src/pocketrec/native/program_check.py, in the same order.
#include "program.hpp"

#include <cstring>

#include "failure.hpp"

namespace pocketrec {
namespace {

// start + a + (a number below size or n) must stay below 2^63.
constexpr int64_t kStartEnd = int64_t{1} << 61;
constexpr int64_t kSizeEnd = int64_t{1} << 62;

void require(bool fits, int64_t number, const Field& field, const char* rule) {
    if (!fits)
        fail(PR_VALUE_ERROR,
             "program field %lld: kind %lld needs %s; its start %lld, size %lld, a %lld, b %lld, n %lld, p %lld, q "
             "%lld.",
             say(number), say(field.kind), rule, say(field.start), say(field.size), say(field.a), say(field.b),
             say(field.n), say(field.p), say(field.q));
}

bool is_coefficient(int64_t number) {
    return number >= 0 && number < PR_LINEAR_MODULUS;
}

void check_field(const Field& f, int64_t number, const pr_request& request) {
    const int64_t entries = request.map_entries;
    require(f.kind >= PR_ROW && f.kind <= PR_MAPPED, number, f, "to lie in 0..5");
    require(f.start >= 0 && f.start < kStartEnd && f.a >= -1 && f.a < kStartEnd, number, f,
            "0 <= start < 2**61 and -1 <= a < 2**61");
    require(f.size >= 0 && f.size < kSizeEnd && f.n >= 0 && f.n < kSizeEnd, number, f, "size and n in 0..2**62 - 1");
    switch (f.kind) {
        case PR_HASH:
            require(f.size >= 1 && f.a >= 0, number, f, "size >= 1 and a >= 0");
            break;
        case PR_QUOTIENT_REMAINDER:
            require(request.parts == 2, number, f, "2 parts");
            require(f.size >= 1 && f.n >= 1 && f.p >= 1 && f.a >= 0 && f.q >= 0, number, f,
                    "size, n, p >= 1 and a, q >= 0");
            require(f.n == 1 || f.p <= (INT64_MAX - f.q) / (f.n - 1), number, f, "(n - 1) * p + q < 2**63");
            break;
        case PR_BLOCK:
            require(f.a >= 1 && f.size >= f.a, number, f, "1 <= a <= size");
            require(f.b >= 0 && f.b < 8, number, f, "flags b in 0..7");
            break;
        case PR_LINEAR_BLOCK:
            require(f.a >= 1 && f.size >= f.a && f.global >= 0, number, f, "1 <= a <= size and global >= 0");
            require(is_coefficient(f.seed) && is_coefficient(f.q) && is_coefficient(f.p), number, f,
                    "coefficients in 0..2038074742");
            break;
        case PR_MAPPED:
            require(f.b >= 0 && f.b <= entries - f.size && f.b < entries - f.a, number, f,
                    "all entries inside the maps");
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
        const Field& field = fields[static_cast<size_t>(number)];
        check_field(field, number, request);
        if (!request.offsets && (field.column < 0 || field.column >= request.columns))
            fail(PR_VALUE_ERROR, "program field %lld reads column %lld, ids have %lld.", say(number), say(field.column),
                 say(request.columns));
    }
    return fields;
}

void check_blocks(const std::vector<Field>& fields, const pr_request& request) {
    const bool concat = request.combining == PR_CONCAT;
    for (size_t number = 0; number < fields.size(); ++number) {
        const Field& field = fields[number];
        require(field.is_block() == concat, static_cast<int64_t>(number), field,
                "another combining: CONCAT is for blocks, and blocks for CONCAT");
        require(!concat || field.a >= (request.dim + request.parts - 1) / request.parts, static_cast<int64_t>(number),
                field, "blocks that cover dim");
    }
}

}  // namespace pocketrec
