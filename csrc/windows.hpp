// Walking over the values of a jagged call, many at a time, in the order of src/pocketrec/native/values.py.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "addressing.hpp"
#include "values.hpp"

namespace pocketrec {

// Consecutive values of one field.
struct Window {
    int64_t number;               // of the field
    const Addressing* addressing;
    int64_t first, count;         // values first .. first + count - 1
    const int64_t* starts;        // of the field's bags
    int64_t bag;                  // the first bag, from 0 within the field, that has a value of the window

    const Field& field() const { return addressing->field; }
    Run run(const pr_request& request) const { return {request.ids + first, 1, count}; }
};

// Calls visit(window) for windows of at most `most` values that cover the bags [begin, end) of every field in turn.
// Offsets must have been checked.
template <class Visit>
void for_each_window(const pr_request& request, const std::vector<Addressing>& fields, int64_t begin, int64_t end,
                     int64_t most, Visit visit) {
    for (int64_t f = 0; f < request.fields; ++f) {
        const int64_t* starts = request.offsets + f * request.offsets_stride;
        Window window{f, &fields[static_cast<size_t>(f)], starts[begin], 0, starts, begin};
        for (; window.first < starts[end]; window.first += window.count) {
            window.count = std::min(most, starts[end] - window.first);
            while (starts[window.bag + 1] <= window.first) ++window.bag;
            visit(window);
        }
    }
}

// Calls visit(bag, begin, end) for the values of each bag that lie in the window, as places within the window.
template <class Visit>
void for_each_part_of_bag(const Window& window, Visit visit) {
    int64_t done = 0;
    for (int64_t bag = window.bag; done < window.count; ++bag) {
        const int64_t end = std::min(window.starts[bag + 1] - window.first, window.count);
        if (end > done) visit(bag, done, end);
        done = std::max(done, end);
    }
}

}  // namespace pocketrec
