// Where the slices of an id lie in the cores of its table. Definition: src/pocketrec/native/chain.py.
#pragma once

#include <array>
#include <cstdint>

#include "divider.hpp"
#include "program.hpp"

namespace pocketrec {

// First rows of the slices of an id, by core.
typedef std::array<int64_t, PR_MOST_CORES> Slices;

// The cores of one table.
struct Cores {
    explicit Cores(const Field& field)
        : count(field.u), rank(field.n), outer(field.outer_rank()), ids(field.size), q(field.dim_factors()) {
        const std::array<int64_t, PR_MOST_CORES> p = field.row_factors();
        int64_t start = field.start;
        for (size_t k = 0; k < static_cast<size_t>(count); ++k) {
            starts[k] = start;
            slice[k] = field.slice_rows(static_cast<int64_t>(k));
            start += p[k] * slice[k];
            moduli[k] = p[k];
            dividers[k] = Divider(p[k]);
        }
        end = start;
    }

    Slices slices(int64_t id) const {
        Slices found{};
        for (size_t k = static_cast<size_t>(count); k-- > 0;) {
            const int64_t above = dividers[k].quotient(id);
            found[k] = starts[k] + (id - above * moduli[k]) * slice[k];
            id = above;
        }
        return found;
    }

    int64_t count, rank, outer, ids;
    Slices q;
    Slices starts{}, slice{}, moduli{};  // slice: rows of one of core k
    std::array<Divider, PR_MOST_CORES> dividers;
    int64_t end;
};

}  // namespace pocketrec
