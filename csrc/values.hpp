// Walking over the values of a call, in the order of src/pocketrec/native/values.py.
#pragma once

#include <cstdint>
#include <vector>

#include "failure.hpp"
#include "program.hpp"

namespace pocketrec {

// Throws PR_ID_ERROR for an id that the field does not take; padding was dealt with before.
inline void refuse_outside(const Field& field, int64_t id, int64_t value, int64_t number) {
    if (id < 0)
        fail(PR_ID_ERROR,
             "id %lld (value %lld, field %lld) is negative and not the padding id of its field. Ids are 0 or above; "
             "negative values are reserved.",
             say(id), say(value), say(number));
    if (!field.takes(id))
        fail(PR_ID_ERROR, "id %lld (value %lld, field %lld) is beyond the ids of its field, which end before %lld.", say(id),
             say(value), say(number), say(field.last + 1));
}

// Throws PR_VALUE_ERROR for offsets that fall or lie outside the ids.
inline void check_offsets(const pr_request& request) {
    for (int64_t f = 0; f < request.fields; ++f) {
        const int64_t* starts = request.offsets + f * request.offsets_stride;
        for (int64_t b = 0; b < request.batch; ++b)
            if (starts[b] < 0 || starts[b + 1] < starts[b] || starts[b + 1] > request.columns)
                fail(PR_VALUE_ERROR,
                     "offsets must not fall and lie in 0..%lld (the number of ids); bag %lld runs from %lld to %lld.",
                     say(request.columns), say(f * request.batch + b), say(starts[b]), say(starts[b + 1]));
    }
}

// Calls visit(field number, field, bag, begin, end) for every bag of a jagged call; ids[begin] to ids[end - 1] are its
// values, `bag` its place in an output [batch, fields]. Offsets must have been checked.
template <class Visit>
void for_each_bag(const pr_request& request, const std::vector<Field>& fields, Visit visit) {
    for (int64_t f = 0; f < request.fields; ++f) {
        const int64_t* starts = request.offsets + f * request.offsets_stride;
        for (int64_t b = 0; b < request.batch; ++b)
            visit(f, fields[static_cast<size_t>(f)], b * request.fields + f, starts[b], starts[b + 1]);
    }
}

// Calls visit(field number, field, value, id) for every id that a call without offsets reads; padding included.
template <class Visit>
void for_each_cell(const pr_request& request, const std::vector<Field>& fields, Visit visit) {
    for (int64_t b = 0; b < request.batch; ++b)
        for (int64_t f = 0; f < request.fields; ++f) {
            const Field& field = fields[static_cast<size_t>(f)];
            visit(f, field, b * request.fields + f, request.ids[b * request.columns + field.column]);
        }
}

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
