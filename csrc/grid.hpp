// Addresses of a call without offsets, many batch rows at a time.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "addressing.hpp"
#include "gather.hpp"

namespace pocketrec {

class Grid {
  public:
    // All three must outlive it.
    Grid(const pr_request& request, const std::vector<Field>& fields, const std::vector<Addressing>& prepared);

    // out: int64 [count, fields, parts], the addresses of batch rows first .. first + count - 1. Throws PR_ID_ERROR.
    void find(int64_t first, int64_t count, int64_t* out) const;

  private:
    bool are_side_by_side() const;
    void add_single(size_t f);
    void add_pair(size_t f);
    void add_sketched(size_t f);
    void set(size_t f, std::initializer_list<int64_t> numbers, std::initializer_list<uint64_t> words);
    int64_t find_together(const int64_t* ids, int64_t count, int64_t* out) const;

    const pr_request& request_;
    const std::vector<Field>& fields_;
    const std::vector<Addressing>& prepared_;
    // what GridRules, PairRules or SketchRules point to, or none: fields are then done one by one
    std::vector<int64_t> numbers_;
    std::vector<uint64_t> words_;
    bool hashes_ = false, sketched_ = false;
};

}  // namespace pocketrec
