// pr_addresses: ids to addresses. Values in no bag, padding and unused parts are -1.
#include <algorithm>

#include "addressing.hpp"
#include "failure.hpp"
#include "grid.hpp"
#include "windows.hpp"

namespace pocketrec {
namespace {

constexpr int64_t kRows = 256;  // of a batch at a time, so that what is written in strides stays in the cache

void addresses(const pr_request& request, int64_t* out) {
    const std::vector<Field> fields = read_program(request);
    const std::vector<Addressing> prepared = prepare(fields);
    const int64_t parts = request.parts;
    if (request.offsets) {
        check_offsets(request);
        std::fill(out, out + request.columns * parts, int64_t{-1});
        for_each_window(request, prepared, 0, request.batch, INT64_MAX, [&](const Window& window) {
            if (find_addresses(*window.addressing, request, window.run(request), out + window.first * parts, parts) <
                window.count)
                refuse_first_outside(request, fields);
        });
        return;
    }
    const Grid grid(request, fields, prepared);
    for (int64_t b = 0; b < request.batch; b += kRows)
        grid.find(b, std::min(kRows, request.batch - b), out + b * request.fields * parts);
}

}  // namespace
}  // namespace pocketrec

int pr_addresses(const pr_request* request, int64_t* out, pr_error* error) {
    return pocketrec::guarded(error, [&] { pocketrec::addresses(*request, out); });
}
