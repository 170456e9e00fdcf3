// What ids of a tensor train begin with: their slices are the digits of a number, of which many ids share the first ones.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "cores.hpp"

namespace pocketrec {

// The distinct beginnings of rising ids, of one digit, of two, ...; the longest ones are the ids.
class Trie {
  public:
    // The nodes of beginnings of as many digits, in the order of the ids.
    struct Level {
        std::vector<int64_t> slices;   // the address of the last slice of each
        std::vector<int64_t> parents;  // the place of what it begins with, one digit less, in the level above
        std::vector<int64_t> ends;     // where its children end in the level below; those of a node follow those before it

        int64_t count() const { return static_cast<int64_t>(slices.size()); }
        int64_t begin(int64_t node) const { return node ? ends[static_cast<size_t>(node) - 1] : 0; }
        int64_t end(int64_t node) const { return ends[static_cast<size_t>(node)]; }
    };

    Trie(const Cores& cores, const int64_t* ids, int64_t count) {
        std::vector<int64_t> numbers(ids, ids + count);
        for (int64_t k = cores.count; k-- > 0;) numbers = go_up(cores, static_cast<size_t>(k), numbers);
    }

    // Beginnings of k + 1 digits.
    const Level& level(int64_t k) const { return levels_[static_cast<size_t>(k)]; }

    // The slices of a node of level k and of what it begins with.
    Slices slices(int64_t k, int64_t node) const {
        Slices found{};
        for (size_t i = static_cast<size_t>(k) + 1; i-- > 0;) {
            found[i] = levels_[i].slices[static_cast<size_t>(node)];
            node = levels_[i].parents[static_cast<size_t>(node)];
        }
        return found;
    }

  private:
    // From the numbers of the nodes of a level, rising, to those of the level above. Whether a node has the parent of the one
    // before is anyone's guess: so nothing asks, and all is written again.
    std::vector<int64_t> go_up(const Cores& cores, size_t k, const std::vector<int64_t>& numbers) {
        const Divider divider = cores.dividers[k];
        const int64_t start = cores.starts[k], each = cores.slice[k], modulus = cores.moduli[k];
        const size_t count = numbers.size();
        std::vector<int64_t> above(count), ends(count);
        Level& level = levels_[k];
        level.slices.resize(count);
        level.parents.resize(count);
        int64_t parent = -1, last = -1;
        for (size_t i = 0; i < count; ++i) {
            const int64_t quotient = divider.quotient(numbers[i]);
            parent += quotient != last;
            last = quotient;
            level.slices[i] = start + (numbers[i] - quotient * modulus) * each;
            level.parents[i] = parent;
            above[static_cast<size_t>(parent)] = quotient;
            ends[static_cast<size_t>(parent)] = static_cast<int64_t>(i) + 1;
        }
        above.resize(static_cast<size_t>(parent + 1));
        if (k) levels_[k - 1].ends = std::move(ends);
        return above;
    }

    std::array<Level, PR_MOST_CORES> levels_;
};

}  // namespace pocketrec
