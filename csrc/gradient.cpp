#include "gradient.hpp"

#include "failure.hpp"

namespace pocketrec {
namespace {

int64_t count_all(const pr_request& request) {
    if (!request.offsets) return request.batch * request.fields;
    int64_t values = 0;
    for (int64_t f = 0; f < request.fields; ++f) {
        const int64_t* starts = request.offsets + f * request.offsets_stride;
        values += starts[request.batch] - starts[0];
    }
    return values;
}

}  // namespace

Gradient::Gradient(const pr_request& request, const float* grad)
    : request_(request),
      grad_(grad),
      fields_(read_program(request)),
      prepared_(prepare(fields_)),
      grid_(request, fields_, prepared_),
      regions_(request) {
    check_blocks(fields_, request);
    if (request.offsets) check_offsets(request);
    values_ = count_all(request);
}

void Gradient::find_targets_of(const Tile& tile, Targets out) const {
    const auto find = [&](const Addressing& field, Run run, Targets to) {
        const int64_t found = to.signs ? find_blocks(field, request_, run, to)
                                       : find_addresses(field, request_, run, to.addresses, to.stride);
        if (found < run.count) refuse_first_outside(request_, fields_);
    };
    const int64_t fields = tile.window ? 1 : request_.fields, parts = request_.parts, words = out.signs_stride;
    out.stride = fields * parts;
    out.signs_stride = fields * words;
    if (tile.window) return find(*tile.window->addressing, tile.window->run(request_), out);
    for (int64_t f = 0; f < fields; ++f, out.addresses += parts, out.signs += out.signs ? words : 0) {
        const Addressing& field = prepared_[static_cast<size_t>(f)];
        const int64_t* ids = request_.ids + tile.row * request_.columns + field.field.column;
        find(field, {ids, request_.columns, tile.count / fields}, out);
    }
}

Spread::Spread(const Gradient& gradient)
    : gradient_(gradient), request_(gradient.request()), reader_(request_, gradient.plain_fields(), gradient.regions()) {}

float* Spread::scratch(int64_t place) {
    return scratch_.data() + place * request_.dim;
}

const float* const* Spread::vectors(const Tile& tile) {
    const int64_t dim = request_.dim;
    vectors_.resize(static_cast<size_t>(tile.count));
    if (!tile.window) {
        for (int64_t i = 0; i < tile.count; ++i)
            vectors_[static_cast<size_t>(i)] = gradient_.grad() + (tile.first + i) * dim;
        return vectors_.data();
    }
    scratch_.resize(static_cast<size_t>(tile.count * dim));
    for_each_part_of_bag(*tile.window,
                         [&](int64_t bag, int64_t first, int64_t last) { bag_vectors(tile, bag, first, last); });
    return vectors_.data();
}

void Spread::bag_vectors(const Tile& tile, int64_t bag, int64_t first, int64_t last) {
    const Window& window = *tile.window;
    const int64_t dim = request_.dim;
    const float* own = gradient_.grad() + (bag * request_.fields + window.number) * dim;
    if (request_.pooling == PR_POOL_MAX) return maxima(window, bag, first, last);
    if (request_.pooling == PR_POOL_MEAN) {
        const int64_t begin = window.starts[bag], end = window.starts[bag + 1];
        const int64_t count = std::max(int64_t{1}, count_values(request_, window.field(), begin, end));
        for (int64_t d = 0; d < dim; ++d) scratch(first)[d] = own[d] / static_cast<float>(count);
        own = scratch(first);
    }
    for (int64_t i = first; i < last; ++i) {
        const int64_t value = window.first + i;
        if (request_.pooling == PR_POOL_NONE) own = gradient_.grad() + value * dim;
        vectors_[static_cast<size_t>(i)] = own;
        if (!request_.weights) continue;
        for (int64_t d = 0; d < dim; ++d) scratch(i)[d] = own[d] * request_.weights[value];
        vectors_[static_cast<size_t>(i)] = scratch(i);
    }
}

// The gradient of a maximum goes, element by element, to the first greatest value.
void Spread::maxima(const Window& window, int64_t bag, int64_t first, int64_t last) {
    const int64_t dim = request_.dim;
    const float* own = gradient_.grad() + (bag * request_.fields + window.number) * dim;
    if (won_by_ != own) find_winners(window, window.starts[bag], window.starts[bag + 1]);
    won_by_ = own;
    for (int64_t i = first; i < last; ++i) {
        for (int64_t d = 0; d < dim; ++d)
            scratch(i)[d] = winner_[static_cast<size_t>(d)] == window.first + i ? own[d] : 0.0f;
        vectors_[static_cast<size_t>(i)] = scratch(i);
    }
}

void Spread::find_winners(const Window& window, int64_t begin, int64_t end) {
    constexpr int64_t kValues = 64;
    const size_t dim = static_cast<size_t>(request_.dim);
    best_.assign(dim, 0.0f);
    winner_.assign(dim, -1);
    values_.resize(static_cast<size_t>(kValues) * dim);
    for (int64_t from = begin; from < end; from += kValues) {
        const Run run{request_.ids + from, 1, std::min(kValues, end - from)};
        reader_.vectors(*window.addressing, run, values_.data());
        for (int64_t i = 0; i < run.count; ++i) {
            if (window.field().is_padding(run.ids[i])) continue;
            for (size_t d = 0; d < dim; ++d) {
                const float value = values_[static_cast<size_t>(i) * dim + d];
                if (winner_[d] >= 0 && !is_greater(value, best_[d])) continue;
                best_[d] = value;
                winner_[d] = from + i;
            }
        }
    }
}

const float* const* Spread::products(const Tile& tile, const int64_t* addresses) {
    const float* const* own = vectors(tile);
    const int64_t dim = request_.dim, count = tile.count * 2;
    others_.resize(static_cast<size_t>(count * dim));
    products_.resize(static_cast<size_t>(count));
    swapped_.resize(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) swapped_[static_cast<size_t>(i)] = addresses[i ^ 1];
    reader_.single(swapped_.data(), count, others_.data(), false);
    for (int64_t i = 0; i < count; ++i) {
        products_[static_cast<size_t>(i)] = own[i / 2];
        if (swapped_[static_cast<size_t>(i)] < 0) continue;
        float* product = others_.data() + i * dim;
        for (int64_t d = 0; d < dim; ++d) product[d] *= own[i / 2][d];
        products_[static_cast<size_t>(i)] = product;
    }
    return products_.data();
}

}  // namespace pocketrec
