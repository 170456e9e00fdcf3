// pr_addresses: ids to addresses. Values in no bag, padding and unused parts are -1.
#include <algorithm>

#include "values.hpp"

namespace pocketrec {
namespace {

void addresses(const pr_request& request, int64_t* out) {
    const std::vector<Field> fields = read_program(request);
    const int64_t parts = request.parts;
    const auto write = [&](int64_t number, const Field& field, int64_t value, int64_t id) {
        int64_t* own = out + value * parts;
        if (field.is_padding(id)) {
            std::fill(own, own + parts, int64_t{-1});
            return;
        }
        refuse_negative(id, value, number);
        find_addresses(field, id, request, own);
    };
    if (!request.offsets) {
        for_each_cell(request, fields, write);
        return;
    }
    std::fill(out, out + request.columns * parts, int64_t{-1});
    for_each_bag(request, fields, [&](int64_t number, const Field& field, int64_t, int64_t begin, int64_t end) {
        for (int64_t value = begin; value < end; ++value) write(number, field, value, request.ids[value]);
    });
}

}  // namespace
}  // namespace pocketrec

int pr_addresses(const pr_request* request, int64_t* out, pr_error* error) {
    return pocketrec::guarded(error, [&] { pocketrec::addresses(*request, out); });
}
