// pr_addresses: ids to addresses. Values in no bag, padding and unused parts are -1.
#include <algorithm>

#include "addressing.hpp"
#include "failure.hpp"
#include "windows.hpp"

namespace pocketrec {
namespace {

constexpr int64_t kRows = 256;  // of a batch at a time, so that what is written in strides stays in the cache

void addresses(const pr_request& request, int64_t* out) {
    const std::vector<Field> fields = read_program(request);
    const std::vector<Addressing> prepared = prepare(fields);
    const auto find = [&](const Addressing& field, Run run, int64_t* to, int64_t stride) {
        if (find_addresses(field, request, run, to, stride) < run.count) refuse_first_negative(request, fields);
    };
    const int64_t parts = request.parts, width = request.fields * parts;
    if (request.offsets) {
        check_offsets(request);
        std::fill(out, out + request.columns * parts, int64_t{-1});
        for_each_window(request, prepared, 0, request.batch, INT64_MAX, [&](const Window& window) {
            find(*window.addressing, window.run(request), out + window.first * parts, parts);
        });
        return;
    }
    for (int64_t b = 0; b < request.batch; b += kRows)
        for (int64_t f = 0; f < request.fields; ++f) {
            const Addressing& field = prepared[static_cast<size_t>(f)];
            const int64_t* ids = request.ids + b * request.columns + field.field.column;
            find(field, {ids, request.columns, std::min(kRows, request.batch - b)}, out + b * width + f * parts, width);
        }
}

}  // namespace
}  // namespace pocketrec

int pr_addresses(const pr_request* request, int64_t* out, pr_error* error) {
    return pocketrec::guarded(error, [&] { pocketrec::addresses(*request, out); });
}
