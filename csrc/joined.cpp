// pr_lookup_joined: several look-ups of the same ids as one. They take turns, some batch rows at a time: what one writes
// the next need not write again, and ids, addresses and vectors are still in the caches.
#include <algorithm>
#include <memory>

#include "cells.hpp"
#include "failure.hpp"
#include "threads.hpp"

namespace pocketrec {
namespace {

constexpr int64_t kRows = 128;  // of a batch, after which the next look-up has its turn

// The request with the ids that it is asked.
pr_request asked(const pr_part& part, const pr_request& first) {
    pr_request request = *part.request;
    request.ids = part.join == PR_REST ? part.asked : first.ids;
    request.batch = first.batch;
    request.columns = first.columns;
    return request;
}

class Joined {
  public:
    Joined(const pr_part* parts, int64_t count, float* out) : out_(out) {
        for (int64_t i = 0; i < count; ++i) calls_.push_back(std::make_unique<Call>(asked(parts[i], *parts[0].request)));
        for (int64_t i = 0; i < count; ++i) check(parts[i], i);
        for (int64_t i = 0; i < count; ++i) {
            if (parts[i].join == PR_FACTOR) continue;
            const bool is_followed = i + 1 < count && parts[i + 1].join == PR_REST;
            turns_.push_back({i > 0, is_followed ? calls_[static_cast<size_t>(i + 1)].get() : nullptr,
                              is_followed ? parts[i + 1].asked : nullptr, parts[i].found});
        }
    }

    void run() const {
        const Call& first = *calls_.front();
        const pr_request& request = first.request;
        const int64_t parts = first.parts();
        run_parts(parts, [&](int64_t part) { read(request.batch * part / parts, request.batch * (part + 1) / parts); },
                  request.threads);
    }

  private:
    void check(const pr_part& part, int64_t number) const {
        const Call &call = *calls_[static_cast<size_t>(number)], &first = *calls_.front();
        const auto require = [&](bool holds, const char* what) {
            if (!holds) fail(PR_VALUE_ERROR, "look-up %lld of those that are joined: %s.", say(number), what);
        };
        require((part.join == PR_ALONE) == (number == 0), "the first is alone, the others join it");
        require(!call.request.offsets, "it takes one id per column, not bags");
        require(call.fields.size() == first.fields.size(), "it has another number of fields");
        require(call.request.dim == (part.join == PR_FACTOR ? 1 : first.request.dim), "its vectors are of another width");
        require(part.join != PR_FACTOR || calls_.size() == 2, "factors join one look-up, and nothing else joins it");
        require(part.join != PR_REST || part.asked || !first.request.batch, "there is no room for the ids that it is asked");
        require(!part.found || (part.join != PR_FACTOR && call.request.combining != PR_CONCAT),
                "addresses are handed back of rows that are no factors");
        for (size_t f = 0; f < call.fields.size(); ++f) {
            require(call.fields[f].column == first.fields[f].column, "it reads other columns");
            require(part.join != PR_REST || call.fields[f].padding != -1, "a field has no padding");
        }
    }

    // Batch rows [begin, end).
    void read(int64_t begin, int64_t end) const {
        const int64_t fields = calls_.front()->request.fields, dim = calls_.front()->request.dim;
        const bool stream = calls_.front()->is_streamed(out_), multiplied = calls_.size() > turns_.size();
        std::vector<Cells> cells;
        for (size_t i = 0; i < turns_.size(); ++i) cells.emplace_back(*calls_[i], turns_[i]);
        if (multiplied) cells.emplace_back(*calls_.back());
        std::vector<float> factors(static_cast<size_t>(multiplied ? kRows * fields : 0));
        for (int64_t b = begin; b < end; b += kRows) {
            const int64_t to = std::min(b + kRows, end);
            if (multiplied) cells.back().read(b, to, factors.data(), false);
            for (size_t i = 0; i < turns_.size(); ++i)
                cells[i].read(b, to, out_ + b * fields * dim, stream, multiplied ? factors.data() : nullptr);
        }
    }

    std::vector<std::unique_ptr<Call>> calls_;
    std::vector<Turn> turns_;  // of all but factors
    float* out_;
};

}  // namespace
}  // namespace pocketrec

int pr_lookup_joined(const pr_part* parts, int64_t count, float* out, pr_error* error) {
    return pocketrec::guarded(error, [&] {
        if (count < 1) pocketrec::fail(PR_VALUE_ERROR, "there is no look-up to join.");
        pocketrec::Joined(parts, count, out).run();
    });
}
