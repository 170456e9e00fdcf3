// What look-ups of tensor trains and their gradients share: distinct ids in rising order, and products of slices.
//
// Ids that begin with the same slices lie side by side, so each product of first slices is found once (EL-Rec's reuse of
// prefixes), and duplicates cost nothing. What is pooled, and the gradients of what was, are those of a look-up of rows:
// of a table of the distinct vectors.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "addressing.hpp"
#include "chain.hpp"
#include "cores.hpp"
#include "failure.hpp"
#include "reader.hpp"
#include "regions.hpp"
#include "rising.hpp"
#include "values.hpp"

namespace pocketrec {

const ChainLoops& chain_loops();

// at(numbers, i): a pointer to a number of a vector or an array, by a signed place.
template <class Numbers>
auto* at(Numbers& numbers, int64_t index) {
    return numbers.data() + index;
}

struct Table {
    Cores cores;
    int64_t first;             // place of its first vector among the distinct ones of all tables
    std::vector<int64_t> ids;  // distinct, rising

    // Without offsets: the values of the first id, of the next one, ..., rising of each, and where those of each end.
    std::vector<int64_t> values, ends;

    int64_t begin(int64_t id) const { return id ? *at(ends, id - 1) : 0; }
};

// The distinct ids of a call, and which of its values are of each. Without offsets every value is a bag of its own, and its
// place that of its vector; with offsets the values are places of distinct vectors, which a look-up of rows pools.
class Distinct {
  public:
    static constexpr int64_t kNoId = -2;  // in the place of a padding id

    Distinct(const pr_request& request, const std::vector<Field>& fields) : request_(request) {
        std::vector<bool> done(fields.size(), false);
        if (request.offsets) {
            check_offsets(request);
            make_room(fields);
        }
        for (size_t f = 0; f < fields.size(); ++f)
            if (!done[f]) add_table(fields, f, done);
    }

    const std::vector<Table>& tables() const { return tables_; }
    int64_t count() const { return count_; }

    // Without offsets: the values that are padding.
    const std::vector<int64_t>& padding() const { return padding_; }

    // With offsets: the look-up of the distinct vectors that is the call: same bags, same pooling. It points into this.
    pr_request rows(const pr_region* vectors) {
        pr_request inner = request_;
        inner.regions = vectors;
        inner.region_count = 1;
        inner.ids = places_.data();
        inner.program = program_.data();
        inner.maps = nullptr;
        inner.map_entries = 0;
        inner.parts = 1;
        inner.combining = PR_COPY;
        inner.columns = static_cast<int64_t>(places_.size());
        inner.offsets = offsets_.data();
        inner.offsets_stride = request_.batch;
        if (request_.weights) inner.weights = weights_.data();
        return inner;
    }

    // Where value i of the inner look-up stands among the ids of the call; with offsets only.
    const std::vector<int64_t>& positions() const { return positions_; }

  private:
    // Room for all values, and for each bag where its own begin.
    void make_room(const std::vector<Field>& fields) {
        const int64_t batch = request_.batch, count = static_cast<int64_t>(fields.size());
        offsets_.push_back(0);
        for (int64_t f = 0; f < count; ++f)
            for (int64_t b = 0; b < batch; ++b) {
                const int64_t* starts = request_.offsets + f * request_.offsets_stride;
                for (int64_t value = starts[b]; value < starts[b + 1]; ++value) {
                    positions_.push_back(value);
                    if (request_.weights) weights_.push_back(request_.weights[value]);
                }
                offsets_.push_back(static_cast<int64_t>(positions_.size()));
            }
        places_.resize(positions_.size());
        for (int64_t f = 0; f < count; ++f) {
            Field row{};
            row.column = f;
            row.kind = PR_ROW;
            row.a = -1;
            row.padding = kNoId;
            row.last = -1;  // no limit
            row.size = int64_t{1} << 61;
            program_.insert(program_.end(), reinterpret_cast<const int64_t*>(&row),
                            reinterpret_cast<const int64_t*>(&row) + PR_PROGRAM_COLUMNS);
        }
    }

    // Calls visit(field, id, value) for all values of some fields; a value is its place in places_ where there are offsets.
    template <class Visit>
    void for_each(const std::vector<size_t>& numbers, const std::vector<Field>& fields, Visit visit) {
        const int64_t batch = request_.batch;
        if (!request_.offsets) {
            for (int64_t b = 0; b < batch; ++b)
                for (const size_t f : numbers)
                    visit(fields[f], request_.ids[b * request_.columns + fields[f].column],
                          b * request_.fields + static_cast<int64_t>(f));
            return;
        }
        for (const size_t f : numbers) {
            const int64_t first = static_cast<int64_t>(f) * batch;
            for (int64_t i = *at(offsets_, first); i < *at(offsets_, first + batch); ++i)
                visit(fields[f], request_.ids[*at(positions_, i)], i);
        }
    }

    int64_t values_of(int64_t number) const {
        return request_.offsets ? *at(offsets_, (number + 1) * request_.batch) - *at(offsets_, number * request_.batch)
                                : request_.batch;
    }

    // The table of a field, with all fields that read it.
    void add_table(const std::vector<Field>& fields, size_t first, std::vector<bool>& done) {
        std::vector<size_t> readers;
        int64_t values = 0;
        for (size_t f = first; f < fields.size(); ++f)
            if (fields[f].start == fields[first].start) {
                readers.push_back(f);
                values += values_of(static_cast<int64_t>(f));
                done[f] = true;
            }
        found_.resize(static_cast<size_t>(values));
        Placed* next = found_.data();
        for_each(readers, fields, [&](const Field& field, int64_t id, int64_t value) {
            if (!field.is_padding(id)) {
                if (!field.takes(id)) refuse_first_outside(request_, fields);
                *next++ = {id < field.size ? id : 0, value};
            } else if (request_.offsets) {
                *at(places_, value) = kNoId;
            } else {
                padding_.push_back(value);
            }
        });
        found_.resize(static_cast<size_t>(next - found_.data()));
        if (found_.empty()) return;
        sort_rising(found_, spare_);
        Table table{Cores(fields[first]), count_, {}, {}, {}};
        take_sorted(table);
        count_ += static_cast<int64_t>(table.ids.size());
        tables_.push_back(std::move(table));
    }

    void take_sorted(Table& table) {
        const size_t values = found_.size();
        table.ids.resize(values);
        if (!request_.offsets) {
            table.values.resize(values);
            table.ends.resize(values);
        }
        // Whether an id is another than the one before is anyone's guess: so nothing here asks, all is written again.
        int64_t place = -1, last = -1;
        for (size_t i = 0; i < values; ++i) {
            const Placed own = found_[i];
            place += own.id != last;
            last = own.id;
            *at(table.ids, place) = own.id;
            if (request_.offsets) {
                *at(places_, own.place) = count_ + place;
            } else {
                table.values[i] = own.place;
                *at(table.ends, place) = static_cast<int64_t>(i) + 1;
            }
        }
        table.ids.resize(static_cast<size_t>(place + 1));
        if (!request_.offsets) table.ends.resize(static_cast<size_t>(place + 1));
    }

    const pr_request& request_;
    std::vector<Table> tables_;
    std::vector<int64_t> places_, positions_, offsets_, program_, padding_;
    std::vector<float> weights_;
    std::vector<Placed> found_, spare_;
    int64_t count_ = 0;
};

// Slices of cores as float32 rows of a multiple of sixteen numbers, and the products of those that ids begin with.
class Prefixes {
  public:
    Prefixes(const Cores& cores, const pr_request& request, const std::vector<Field>& fields, const Regions& regions)
        : cores_(cores),
          regions_(regions),
          reader_(request, fields, regions),
          width_((cores.rank + 15) / 16 * 16),
          plain_(width_ == cores.rank && regions.storage() == PR_FLOAT32) {
        int64_t rows = cores.outer;
        for (int64_t k = 0; k < cores.count; ++k) {
            rows *= k + 1 < cores.count ? *at(cores.q, k) : 1;
            if (!plain_) own_[static_cast<size_t>(k)].assign(static_cast<size_t>(*at(cores.slice, k) * width_), 0.0f);
            if (k && k + 1 < cores.count) products_[static_cast<size_t>(k)].resize(static_cast<size_t>(rows * width_));
            rows_[static_cast<size_t>(k)] = rows;
        }
    }

    int64_t width() const { return width_; }

    // Rows of the product of the slices 0 to k, those of each chain together.
    int64_t rows(int64_t k) const { return *at(rows_, k); }

    // Numbers in a row of a slice of core k between the first and the last one, seen as [rank, columns].
    int64_t columns(int64_t k) const { return *at(cores_.q, k) * width_; }

    const float* slice(int64_t k) const { return *at(slices_, k); }

    // The product of the slices 0 to k, below the last core: [rows(k), width].
    const float* product(int64_t k) const { return k ? products_[static_cast<size_t>(k)].data() : slice(0); }

    // Goes to the products of the slices that an id begins with.
    void move(const Slices& to) {
        bool other = false;
        for (int64_t k = 0; k + 1 < cores_.count; ++k) {
            if (*at(to, k) != *at(addresses_, k)) {
                other = true;
                read(k, *at(to, k));
            }
            if (other && k) multiply(product(k - 1), rows(k - 1), k, products_[static_cast<size_t>(k)].data());
        }
    }

    // out [rows, columns] = left [rows, width] times the slice of core k that was read last.
    void multiply(const float* left, int64_t rows, int64_t k, float* out) const {
        chain_loops().multiply(left, rows, width_, 1, cores_.rank, slice(k), columns(k), columns(k), out, false);
    }

    // The slice of core k at an address.
    const float* read(int64_t k, int64_t address) {
        *at(addresses_, k) = address;
        const int64_t rows = *at(cores_.slice, k), rank = cores_.rank;
        if (plain_) {
            return *at(slices_, k) = reinterpret_cast<const float*>(regions_.array() + address * rank * 4);
        }
        float* own = own_[static_cast<size_t>(k)].data();
        places_.resize(static_cast<size_t>(rows));
        std::iota(places_.begin(), places_.end(), address);
        reader_.single(places_.data(), rows, own, false);
        for (int64_t row = width_ == rank ? 0 : rows; row-- > 0;) {  // from the last one, so that none is overwritten
            if (row) std::copy_backward(own + row * rank, own + (row + 1) * rank, own + row * width_ + rank);
            std::fill(own + row * width_ + rank, own + (row + 1) * width_, 0.0f);
        }
        return *at(slices_, k) = own;
    }

  private:
    const Cores& cores_;
    const Regions& regions_;
    Reader reader_;
    int64_t width_;
    bool plain_;
    std::array<int64_t, PR_MOST_CORES> addresses_{-1, -1, -1, -1}, rows_{};
    std::array<const float*, PR_MOST_CORES> slices_{};
    std::array<std::vector<float>, PR_MOST_CORES> own_, products_;
    std::vector<int64_t> places_;
};

// A checked call; its cores seen as rows of `rank` numbers.
struct Train {
    explicit Train(const pr_request& request)
        : request(request), fields(read_program(request)), rows(as_rows(request, fields)), regions(rows) {
        check_blocks(fields, request);
        if (request.region_count != 1)
            fail(PR_VALUE_ERROR, "cores lie in one region, got %lld.", say(request.region_count));
        for (const Field& field : fields) {
            const Cores cores(field);
            if (cores.end > regions.total()) regions.refuse(cores.end - 1);
        }
    }

    static pr_request as_rows(const pr_request& request, const std::vector<Field>& fields) {
        pr_request rows = request;
        rows.dim = fields.empty() ? 1 : fields[0].n;
        rows.parts = 1;
        rows.combining = PR_COPY;
        return rows;
    }

    const pr_request& request;
    std::vector<Field> fields;
    pr_request rows;
    Regions regions;
};

// The vectors of all tables' ids: to the places of the values in out [batch, fields, dim] or, where there are offsets, to out
// [distinct, dim].
void find_vectors(const Train& train, const Distinct& distinct, float* out);

}  // namespace pocketrec
