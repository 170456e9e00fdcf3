// pr_compact: the gradient of a lookup to distinct (address, gradient) pairs. Duplicates are summed in value order.
#include <algorithm>

#include "pairs.hpp"
#include "pool.hpp"
#include "reader.hpp"
#include "values.hpp"

namespace pocketrec {
namespace {

int64_t count_all(const pr_request& request) {
    if (!request.offsets) return request.batch * request.fields;
    int64_t values = 0;
    for (int64_t f = 0; f < request.fields; ++f) {
        const int64_t* starts = request.offsets + f * request.offsets_stride;
        for (int64_t b = 0; b < request.batch; ++b) values += std::max(int64_t{0}, starts[b + 1] - starts[b]);
    }
    return values;
}

int64_t room(const pr_request& request, int64_t capacity) {
    const int64_t needed = count_all(request) * (request.combining == PR_CONCAT ? request.dim : request.parts);
    if (needed > capacity)
        fail(PR_VALUE_ERROR, "room for %lld gradients, %lld may be needed.", say(capacity), say(needed));
    return needed;
}

class Compact {
  public:
    Compact(const pr_request& request, const float* grad, int64_t capacity, int64_t* addresses, float* grads)
        : request_(request),
          dim_(request.dim),
          grad_(grad),
          fields_(read_program(request)),
          reader_(request),
          pairs_(room(request, capacity), request.combining == PR_CONCAT ? 1 : request.dim, addresses, grads),
          scratch_(static_cast<size_t>(request.dim)),
          other_(static_cast<size_t>(request.dim)) {
        check_blocks(fields_, request);
    }

    int64_t run() {
        if (!request_.offsets) {
            for_each_cell(request_, fields_, [&](int64_t number, const Field& field, int64_t value, int64_t id) {
                spread(number, field, value, id, grad_ + value * dim_);
            });
            return pairs_.count();
        }
        for_each_bag(request_, fields_,
                     [&](int64_t number, const Field& field, int64_t bag, int64_t begin, int64_t end) {
                         if (request_.pooling == PR_POOL_MAX)
                             maxima(number, field, bag, begin, end);
                         else
                             linear(number, field, bag, begin, end);
                     });
        return pairs_.count();
    }

  private:
    // A bag whose gradient is the same for all values, up to a factor.
    void linear(int64_t number, const Field& field, int64_t bag, int64_t begin, int64_t end) {
        const float* own = grad_ + bag * dim_;
        if (request_.pooling == PR_POOL_MEAN) {
            const float count = static_cast<float>(std::max(int64_t{1}, count_values(request_, field, begin, end)));
            for (int64_t d = 0; d < dim_; ++d) scratch_[static_cast<size_t>(d)] = own[d] / count;
            own = scratch_.data();
        }
        for (int64_t v = begin; v < end; ++v) {
            if (request_.pooling == PR_POOL_NONE) own = grad_ + v * dim_;
            if (request_.weights) {
                for (int64_t d = 0; d < dim_; ++d)
                    scratch_[static_cast<size_t>(d)] = grad_[bag * dim_ + d] * request_.weights[v];
                own = scratch_.data();
            }
            spread(number, field, v, request_.ids[v], own);
        }
    }

    // A bag whose gradient goes, element by element, to the first greatest value.
    void maxima(int64_t number, const Field& field, int64_t bag, int64_t begin, int64_t end) {
        const size_t dim = static_cast<size_t>(dim_);
        std::vector<float>& value = other_;
        best_.assign(dim, 0.0f);
        winner_.assign(dim, -1);
        for (int64_t v = begin; v < end; ++v) {
            const int64_t id = request_.ids[v];
            if (field.is_padding(id)) continue;
            refuse_negative(id, v, number);
            reader_.read(field, id, value.data());
            for (size_t d = 0; d < dim; ++d)
                if (winner_[d] < 0 || is_greater(value[d], best_[d])) {
                    best_[d] = value[d];
                    winner_[d] = v;
                }
        }
        for (int64_t v = begin; v < end; ++v) {
            for (size_t d = 0; d < dim; ++d)
                scratch_[d] = winner_[d] == v ? grad_[bag * dim_ + static_cast<int64_t>(d)] : 0.0f;
            spread(number, field, v, request_.ids[v], scratch_.data());
        }
    }

    // Adds the gradient of one value to all that it was made of.
    void spread(int64_t number, const Field& field, int64_t value, int64_t id, const float* own) {
        if (field.is_padding(id)) return;
        refuse_negative(id, value, number);
        const int64_t* found = reader_.addresses(field, id);
        const int64_t total = reader_.regions().total();
        if (request_.combining == PR_CONCAT) {
            for_each_weight(field, id, found, dim_, [&](int64_t element, int64_t address, bool negative) {
                if (address >= total) reader_.regions().refuse(address);
                *pairs_.at(address) += negative ? -own[element] : own[element];
            });
            return;
        }
        for (int64_t p = 0; p < request_.parts; ++p) {
            if (found[p] < 0) continue;
            if (found[p] >= total) reader_.regions().refuse(found[p]);
            if (request_.combining == PR_PRODUCT && found[1 - p] >= 0)
                add_times(found[p], own, found[1 - p]);
            else
                add(found[p], own);
        }
    }

    void add(int64_t address, const float* own) {
        float* sum = pairs_.at(address);
        for (int64_t d = 0; d < dim_; ++d) sum[d] += own[d];
    }

    void add_times(int64_t address, const float* own, int64_t factor) {
        reader_.regions().read_row(factor, dim_, other_.data());
        float* sum = pairs_.at(address);
        for (int64_t d = 0; d < dim_; ++d) sum[d] += own[d] * other_[static_cast<size_t>(d)];
    }

    const pr_request& request_;
    int64_t dim_;
    const float* grad_;
    std::vector<Field> fields_;
    Reader reader_;
    Pairs pairs_;
    std::vector<float> scratch_, other_, best_;
    std::vector<int64_t> winner_;
};

}  // namespace
}  // namespace pocketrec

int pr_compact(const pr_request* request, const float* grad, int64_t capacity, int64_t* addresses, float* grads,
               int64_t* count, pr_error* error) {
    return pocketrec::guarded(error,
                              [&] { *count = pocketrec::Compact(*request, grad, capacity, addresses, grads).run(); });
}
