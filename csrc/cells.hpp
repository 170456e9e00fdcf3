// Look-ups of ids [batch, columns], every id a bag of its own, some batch rows at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "addressing.hpp"
#include "grid.hpp"
#include "reader.hpp"
#include "regions.hpp"

namespace pocketrec {

// What the threads of a call share: its request, checked and read.
struct Call {
    explicit Call(const pr_request& request);

    const pr_request request;
    const std::vector<Field> fields;
    const std::vector<Addressing> prepared;
    const Regions regions;

    // How many parts the work is worth being cut into.
    int64_t parts() const;

    // Whether vectors [batch, fields, dim] are better written past the caches.
    bool is_streamed(const float* out) const;
};

// One of several look-ups that complete each other. What the one before it found is padding here and left alone, as is
// what the next one will find: ids that have no address.
struct Turn {
    bool follows = false;
    const Call* next = nullptr;
    int64_t* left = nullptr;   // with `next`: its ids, [batch, columns]
    int64_t* found = nullptr;  // or where the addresses go, [batch, fields, parts]; not of blocks
};

// Reads vectors; holds the scratch space of one thread of a call.
class Cells {
  public:
    // The call must outlive it.
    explicit Cells(const Call& call, Turn turn = {});

    // out: float [end - begin, fields, dim], the vectors of batch rows [begin, end); times factors [end - begin, fields]
    // unless those are NULL.
    void read(int64_t begin, int64_t end, float* out, bool stream, const float* factors = nullptr);

  private:
    Share share(int64_t field, int64_t b) const;
    void rows(int64_t b, int64_t count, float* out, bool stream, const float* factors);
    void blocks(int64_t b, int64_t count, float* out, bool stream, bool many);

    const Call& call_;
    const pr_request& request_;
    Turn turn_;
    Grid grid_;
    Reader reader_;
    bool side_by_side_;  // whether blocks of all fields are read together
    std::vector<int64_t> addresses_;
};

}  // namespace pocketrec
