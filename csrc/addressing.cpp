#include "addressing.hpp"

#include <algorithm>

#include "values.hpp"

namespace pocketrec {
namespace {

// Runs `rule(id, out)` for every id of the run that is neither padding nor negative.
template <class Rule>
int64_t each(const Field& field, int64_t parts, Run run, int64_t* out, int64_t out_stride, Rule rule) {
    for (int64_t i = 0; i < run.count; ++i, out += out_stride) {
        const int64_t id = run.ids[i * run.stride];
        if (field.is_padding(id))
            std::fill(out, out + parts, int64_t{-1});
        else if (id < 0)
            return i;
        else
            rule(id, out);
    }
    return run.count;
}

// The same for a rule that gives one address of several parts.
template <class Rule>
int64_t each_single(const Field& field, int64_t parts, Run run, int64_t* out, int64_t out_stride, Rule rule) {
    if (parts == 1)
        return each(field, parts, run, out, out_stride, [&](int64_t id, int64_t* own) { own[0] = rule(id); });
    return each(field, parts, run, out, out_stride, [&](int64_t id, int64_t* own) {
        own[0] = rule(id);
        std::fill(own + 1, own + parts, int64_t{-1});
    });
}

int64_t blocks(const Field& field, int64_t parts, Run run, int64_t* out, int64_t out_stride) {
    const uint64_t seed = static_cast<uint64_t>(field.seed);
    const bool aligned = field.b & PR_ALIGNED;
    const int64_t choices = aligned                 ? field.size / field.a
                            : field.b & PR_NO_WRAP ? field.size - field.a + 1
                                                    : field.size;
    const int64_t step = aligned ? field.a : 1;
    return each(field, parts, run, out, out_stride, [&](int64_t id, int64_t* own) {
        const uint64_t base = mix(static_cast<uint64_t>(id), seed);
        for (int64_t block = 0; block < parts; ++block)
            own[block] = field.start + bucket(mix(base, static_cast<uint64_t>(block)), choices) * step;
    });
}

}  // namespace

Addressing::Addressing(const Field& field) : field(field) {
    if (field.kind != PR_QUOTIENT_REMAINDER) return;
    by_size = Divider(field.size);
    by_n = Divider(field.n);
}

std::vector<Addressing> prepare(const std::vector<Field>& fields) {
    return {fields.begin(), fields.end()};
}

int64_t find_addresses(const Addressing& prepared, const pr_request& request, Run run, int64_t* out,
                       int64_t out_stride) {
    const Field& field = prepared.field;
    const int64_t parts = request.parts;
    const uint64_t seed = static_cast<uint64_t>(field.seed);
    switch (field.kind) {
        case PR_ROW: {
            const int64_t fold = field.a < 0 ? -1 : field.start + field.a, start = field.start, size = field.size;
            return each_single(field, parts, run, out, out_stride,
                               [=](int64_t id) { return id < size ? start + id : fold; });
        }
        case PR_HASH:
            return each_single(field, parts, run, out, out_stride, [=](int64_t id) {
                if (id < field.a) return field.start + id;
                return field.start + field.a + bucket(mix(static_cast<uint64_t>(id), seed), field.size);
            });
        case PR_QUOTIENT_REMAINDER:
            return each(field, parts, run, out, out_stride, [&](int64_t id, int64_t* own) {
                const int64_t known = id < field.n ? id : 0;
                const int64_t permuted = prepared.by_n.remainder(known * field.p + field.q);
                const int64_t quotient = prepared.by_size.quotient(permuted);
                own[0] = field.start + quotient;
                own[1] = field.a + permuted - quotient * field.size;
            });
        case PR_HASHES:
            return each(field, parts, run, out, out_stride, [&](int64_t id, int64_t* own) {
                std::fill(own, own + parts, int64_t{-1});
                if (id < field.a) {
                    own[0] = field.start + id;
                    return;
                }
                const uint64_t base = mix(static_cast<uint64_t>(id), seed);
                for (int64_t part = 0; part < field.n; ++part)
                    own[part] = field.start + field.a + bucket(mix(base, static_cast<uint64_t>(part)), field.size);
            });
        case PR_BLOCK:
            return blocks(field, parts, run, out, out_stride);
        case PR_LINEAR_BLOCK:
            return each(field, parts, run, out, out_stride, [&](int64_t id, int64_t* own) {
                for (int64_t block = 0; block < parts; ++block)
                    own[block] = field.start + linear_block_start(field, id, block);
            });
        default:
            return each_single(field, parts, run, out, out_stride,
                               [&](int64_t id) { return mapped_address(field, id, request); });
    }
}

namespace {

// The signs of one block, from number d of the vector on: 64 bits at a time, to wherever they begin.
void add_signs(uint64_t block_hash, int64_t length, int64_t dim, int64_t d, uint64_t* out) {
    const uint64_t salted = block_hash ^ kSignSalt;
    for (int64_t j = 0; j < length && d + j < dim; j += 64) {
        const int64_t left = length - j < dim - d - j ? length - j : dim - d - j, place = d + j;
        const uint64_t mask = left < 64 ? (uint64_t{1} << left) - 1 : ~uint64_t{0};
        const uint64_t bits = mix(salted, static_cast<uint64_t>(1 + j / 64)) & mask;
        out[place / 64] |= bits << (place % 64);
        if (place % 64 && place % 64 + std::min(left, int64_t{64}) > 64) out[place / 64 + 1] |= bits >> (64 - place % 64);
    }
}

}  // namespace

void find_signs(const Field& field, int64_t dim, Run run, uint64_t* out) {
    const int64_t words = (dim + 63) / 64;
    const uint64_t seed = static_cast<uint64_t>(field.seed);
    std::fill(out, out + run.count * words, uint64_t{0});
    for (int64_t i = 0; i < run.count; ++i, out += words) {
        const uint64_t base = mix(static_cast<uint64_t>(run.ids[i * run.stride]), seed);
        for (int64_t block = 0, d = 0; d < dim; ++block, d += field.a)
            add_signs(mix(base, static_cast<uint64_t>(block)), field.a, dim, d, out);
    }
}

void refuse_first_negative(const pr_request& request, const std::vector<Field>& fields) {
    const auto check = [&](int64_t number, const Field& field, int64_t value, int64_t id) {
        if (!field.is_padding(id)) refuse_negative(id, value, number);
    };
    if (!request.offsets) for_each_cell(request, fields, check);
    if (request.offsets)
        for_each_bag(request, fields, [&](int64_t number, const Field& field, int64_t, int64_t begin, int64_t end) {
            for (int64_t value = begin; value < end; ++value) check(number, field, value, request.ids[value]);
        });
    fail(PR_ID_ERROR, "an id was negative and is not any more: ids changed while they were read.");
}

}  // namespace pocketrec
