// What pooling needs to know of one bag before its values are read or written.
#pragma once

#include <cstdint>

#include "program.hpp"

namespace pocketrec {

// Values of a bag that are not padding.
inline int64_t count_values(const pr_request& request, const Field& field, int64_t begin, int64_t end) {
    if (field.padding == -1) return end - begin;
    int64_t count = 0;
    for (int64_t value = begin; value < end; ++value) count += !field.is_padding(request.ids[value]);
    return count;
}

// Whether `candidate` takes the place of `best` as the greatest: NaN is greater than all, the first of equals stays.
inline bool is_greater(float candidate, float best) {
    return candidate > best || (candidate != candidate && best == best);
}

}  // namespace pocketrec
