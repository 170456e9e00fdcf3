// Where the slices of an id lie in the cores of its table. Definition: src/pocketrec/native/chain.py.
#pragma once

#include <array>
#include <cstdint>

#include "program.hpp"

namespace pocketrec {

// The cores of one table.
struct Cores {
    explicit Cores(const Field& field) : count(field.u), rank(field.n), ids(field.size), q(field.dim_factors()) {
        const std::array<int64_t, PR_MOST_CORES> p = field.row_factors();
        int64_t start = field.start;
        for (int64_t k = 0; k < count; ++k) {
            starts[static_cast<size_t>(k)] = start;
            slice[static_cast<size_t>(k)] = field.slice_rows(k);
            start += p[static_cast<size_t>(k)] * slice[static_cast<size_t>(k)];
        }
        end = start;
        int64_t below = 1;
        for (int64_t k = count; k-- > 0;) {
            divisors[static_cast<size_t>(k)] = below;
            moduli[static_cast<size_t>(k)] = p[static_cast<size_t>(k)];
            below *= p[static_cast<size_t>(k)];
        }
    }

    // The first row of an id's slice of core k.
    int64_t address(int64_t id, int64_t k) const {
        const size_t i = static_cast<size_t>(k);
        return starts[i] + id / divisors[i] % moduli[i] * slice[i];
    }

    int64_t count, rank, ids;
    std::array<int64_t, PR_MOST_CORES> q;
    std::array<int64_t, PR_MOST_CORES> starts{}, slice{}, divisors{}, moduli{};  // slice: rows of one of core k
    int64_t end;
};

}  // namespace pocketrec
