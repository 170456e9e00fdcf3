// pr_lookup: ids to vectors. One pass over the values, one thread; every output number is written once per value that
// it depends on, in value order, so that results do not depend on how a batch is cut.
#include <algorithm>

#include "pool.hpp"
#include "reader.hpp"
#include "values.hpp"

namespace pocketrec {
namespace {

class Lookup {
  public:
    Lookup(const pr_request& request, float* out)
        : request_(request),
          fields_(read_program(request)),
          reader_(request),
          value_(static_cast<size_t>(request.dim)),
          out_(out) {
        check_blocks(fields_, request);
    }

    void run() {
        if (!request_.offsets) {
            for_each_cell(request_, fields_, [&](int64_t number, const Field& field, int64_t value, int64_t id) {
                read(number, field, value, id, out_ + value * request_.dim);
            });
            return;
        }
        if (request_.pooling == PR_POOL_NONE) std::fill(out_, out_ + request_.columns * request_.dim, 0.0f);
        for_each_bag(request_, fields_,
                     [&](int64_t number, const Field& field, int64_t bag, int64_t begin, int64_t end) {
                         pool(number, field, out_ + bag * request_.dim, begin, end);
                     });
    }

  private:
    // Writes the vector of one value, zeros for padding; false for padding.
    bool read(int64_t number, const Field& field, int64_t value, int64_t id, float* out) {
        if (field.is_padding(id)) {
            std::fill(out, out + request_.dim, 0.0f);
            return false;
        }
        refuse_negative(id, value, number);
        reader_.read(field, id, out);
        return true;
    }

    void pool(int64_t number, const Field& field, float* out, int64_t begin, int64_t end) {
        const int64_t dim = request_.dim, pooling = request_.pooling;
        if (pooling == PR_POOL_NONE) {
            for (int64_t v = begin; v < end; ++v) read(number, field, v, request_.ids[v], out_ + v * dim);
            return;
        }
        std::fill(out, out + dim, 0.0f);
        bool first = true;
        for (int64_t v = begin; v < end; ++v) {
            if (!read(number, field, v, request_.ids[v], value_.data())) continue;
            if (pooling == PR_POOL_MAX)
                keep_greatest(out, first);
            else
                add(out, request_.weights ? request_.weights[v] : 1.0f);
            first = false;
        }
        if (pooling == PR_POOL_MEAN && !first) {
            const float count = static_cast<float>(count_values(request_, field, begin, end));
            for (int64_t d = 0; d < dim; ++d) out[d] /= count;
        }
    }

    void keep_greatest(float* out, bool first) const {
        for (int64_t d = 0; d < request_.dim; ++d) {
            const float candidate = value_[static_cast<size_t>(d)];
            if (first || is_greater(candidate, out[d])) out[d] = candidate;
        }
    }

    void add(float* out, float weight) const {
        for (int64_t d = 0; d < request_.dim; ++d) out[d] += weight * value_[static_cast<size_t>(d)];
    }

    const pr_request& request_;
    std::vector<Field> fields_;
    Reader reader_;
    std::vector<float> value_;
    float* out_;
};

}  // namespace
}  // namespace pocketrec

int pr_lookup(const pr_request* request, float* out, pr_error* error) {
    return pocketrec::guarded(error, [&] { pocketrec::Lookup(*request, out).run(); });
}
