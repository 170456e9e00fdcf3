#include "cells.hpp"

#include <algorithm>

#include "threads.hpp"
#include "values.hpp"

namespace pocketrec {
namespace {

constexpr int64_t kTile = 2048;           // addresses that are found before their vectors are read; 16 KiB
constexpr int64_t kScaledNumbers = 1 << 14;  // of vectors that are multiplied after they were read: 64 KiB
constexpr int64_t kLeastBlocks = 16;      // so that outputs of a tile of blocks stay in the cache
constexpr int64_t kFewBlocks = 4;         // per vector, up to which those of all fields are read together
constexpr int64_t kLeastRows = 32;        // of such a tile, and of what it is a multiple: many ids are hashed at once
constexpr int64_t kManyBlocks = 16;       // per vector, from which on ids that come several times are worth finding
constexpr int64_t kWorthFinding = 256;    // ids of a field from which on they are looked for
constexpr int64_t kDistinctNumbers = 1 << 18;  // of vectors whose ids are told apart together: 1 MiB
constexpr int64_t kNumbersPerPart = 1 << 16;  // a thread is worth waking for about this many numbers

// Outputs from this size on are written past the caches, which would not hold them until they are read: a quarter less
// time at dim 64 and 128 (batch 2048 of 26 ids), and the rows of the tables stay where they are. Streams need alignment.
constexpr int64_t kStreamBytes = int64_t{4} << 20;
constexpr int64_t kStreamNumbers = 16;

void multiply(float* vectors, const float* factors, int64_t count, int64_t dim) {
    for (int64_t i = 0; i < count; ++i)
        for (int64_t d = 0; d < dim; ++d) vectors[i * dim + d] *= factors[i];
}

// Whether blocks of all fields are few, of one array and of one length. They are then read as one, in the order of the
// output: lines are written one after the other, and what is asked for ahead does not end with each field.
bool are_alike(const std::vector<Field>& fields, const pr_request& request) {
    const Field& first = fields[0];
    return request.combining == PR_CONCAT && request.parts <= kFewBlocks &&
           std::all_of(fields.begin(), fields.end(), [&](const Field& field) {
               return field.start == first.start && field.size == first.size && field.a == first.a &&
                      has_signs(field) == has_signs(first);
           });
}

}  // namespace

Call::Call(const pr_request& given)
    : request(given), fields(read_program(request)), prepared(prepare(fields)), regions(request) {
    check_blocks(fields, request);
    if (request.offsets) check_offsets(request);
}

int64_t Call::parts() const {
    const int64_t values = request.offsets ? request.columns : request.batch * request.fields;
    const int64_t worth = 1 + values * request.dim / kNumbersPerPart, threads = request.threads;
    const int64_t most = threads > 1 ? threads * PARTS_PER_THREAD : 1;
    return std::max(int64_t{1}, std::min({most, worth, request.batch}));
}

bool Call::is_streamed(const float* out) const {
    const int64_t bytes = request.batch * request.fields * request.dim * static_cast<int64_t>(sizeof(float));
    return bytes >= kStreamBytes && request.dim % kStreamNumbers == 0 && reinterpret_cast<uintptr_t>(out) % 64 == 0;
}

Cells::Cells(const Call& call, Turn turn)
    : call_(call), request_(call.request), turn_(turn), grid_(request_, call.fields, call.prepared),
      reader_(request_, call.fields, call.regions), side_by_side_(are_alike(call.fields, request_)) {}

Share Cells::share(int64_t field, int64_t b) const {
    Share share;
    share.follows = turn_.follows;
    if (!turn_.next) return share;
    const Field& next = turn_.next->fields[static_cast<size_t>(field)];
    share.left = turn_.left + b * request_.columns + next.column;
    share.padding = next.padding;
    return share;
}

void Cells::read(int64_t begin, int64_t end, float* out, bool stream, const float* factors) {
    const int64_t dim = request_.dim, fields = request_.fields, parts = request_.parts;
    const bool concat = request_.combining == PR_CONCAT;  // whose fields are read one after the other
    const bool many = concat && !turn_.follows && !turn_.next && parts >= kManyBlocks && end - begin >= kWorthFinding;
    const bool later = factors && (concat || !reader_.multiplies());  // by which vectors are multiplied when they are there
    int64_t rows = kTile / (concat && !side_by_side_ ? std::max(parts, kLeastBlocks) : fields * parts);
    if (side_by_side_) rows = std::max(rows / kLeastRows, int64_t{1}) * kLeastRows;
    if (many) rows = std::max(kWorthFinding, kDistinctNumbers / dim);
    if (later && !many) rows = std::min(rows, kScaledNumbers / (fields * dim));
    rows = std::max(int64_t{1}, rows);
    for (int64_t b = begin; b < end; b += rows) {
        const int64_t count = std::min(rows, end - b), values = count * fields;
        if (concat)
            blocks(b, count, out, stream && !later, many);
        else
            this->rows(b, count, out, stream && !later, later ? nullptr : factors);
        if (later) multiply(out, factors, values, dim);
        out += values * dim;
        factors += factors ? values : 0;
    }
}

void Cells::rows(int64_t b, int64_t count, float* out, bool stream, const float* factors) {
    const int64_t fields = request_.fields, parts = request_.parts, width = fields * parts;
    if (!turn_.found) addresses_.resize(static_cast<size_t>(count * width));
    int64_t* const addresses = turn_.found ? turn_.found + b * width : addresses_.data();
    grid_.find(b, count, addresses);
    if (turn_.follows || turn_.next)
        for (int64_t f = 0; f < fields; ++f) {
            const Field& field = call_.fields[static_cast<size_t>(f)];
            const Run run{request_.ids + b * request_.columns + field.column, request_.columns, count};
            share(f, b).take(field, run, addresses + f * parts, width);
        }
    reader_.rows(addresses, count * fields, out, stream, factors);
}

// Of many blocks per vector, so that an id that comes again is found.
void Cells::blocks(int64_t b, int64_t count, float* out, bool stream, bool many) {
    const int64_t dim = request_.dim, fields = request_.fields;
    if (side_by_side_)
        return reader_.block_rows(call_.prepared, request_.ids + b * request_.columns, count, out, stream,
                                  [&](int64_t f) { return share(f, b); });
    for (int64_t f = 0; f < fields; ++f) {
        const Addressing& field = call_.prepared[static_cast<size_t>(f)];
        const Run run{request_.ids + b * request_.columns + field.field.column, request_.columns, count};
        if (many)
            reader_.distinct_blocks(field, run, out + f * dim, fields * dim, stream);
        else
            reader_.blocks(field, run, out + f * dim, fields * dim, stream, share(f, b));
    }
}

}  // namespace pocketrec
