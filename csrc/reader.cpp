#include "reader.hpp"

#include <algorithm>

#include "slots.hpp"

namespace pocketrec {

constexpr int64_t kTrial = 256;  // ids after which it is known whether enough come again

Reader::Reader(const pr_request& request, const std::vector<Field>& fields, const Regions& regions)
    : request_(request), fields_(fields), regions_(regions), gather_(gather()) {}

void Share::take(const Field& field, Run run, int64_t* addresses, int64_t stride) const {
    if (!follows && !left) return;
    for (int64_t i = 0; i < run.count; ++i, addresses += stride) {
        const int64_t id = run.ids[i * run.stride];
        const bool is_padding = field.is_padding(id), is_left = left && !is_padding && *addresses < 0;
        if (left) left[i * run.stride] = is_left ? id : padding;
        if (is_left || (follows && is_padding)) *addresses = kElsewhere;
    }
}

const int64_t* Reader::places(const int64_t* addresses, int64_t count) {
    if (regions_.is_one()) return addresses;
    if (static_cast<int64_t>(places_.size()) < count) places_.resize(static_cast<size_t>(count));
    regions_.find_places(addresses, count, places_.data());
    return places_.data();
}

void Reader::rows(const int64_t* addresses, int64_t count, float* out, bool stream, const float* factors) {
    const int64_t parts = request_.parts, all = count * parts;
    if (parts == 1) return single(addresses, count, out, stream, factors);
    if (regions_.storage() < 0) return mixed_parts(addresses, count, out);
    const auto combine = request_.combining == PR_SUM ? gather_.sums : gather_.products;
    const Format format{regions_.storage(), request_.dim};
    const int64_t done = combine(format, memory(), places(addresses, all), count, parts, out, stream);
    if (done < all) regions_.refuse(addresses[done]);
}

void Reader::single(const int64_t* addresses, int64_t count, float* out, bool stream, const float* factors) {
    const int64_t dim = request_.dim;
    const int64_t* found = places(addresses, count);
    if (regions_.storage() >= 0) {
        const int64_t done = gather_.rows({regions_.storage(), dim}, memory(), found, count, out, stream, factors);
        if (done < count) regions_.refuse(addresses[done]);
        return;
    }
    // Regions of several storages, for example hot rows in int8 before cold ones in int4: runs of one are read together.
    for (int64_t i = 0; i < count;) {
        const int64_t storage = addresses[i] < 0 ? int64_t{PR_FLOAT32} : regions_.storage_of(addresses[i]);
        int64_t end = i + 1;
        while (end < count && (addresses[end] < 0 || regions_.storage_of(addresses[end]) == storage)) ++end;
        if (SparseStore::is_index(storage))
            sparse(addresses + i, end - i, out + i * dim);
        else
            gather_.rows({storage, dim}, memory(), found + i, end - i, out + i * dim, false, nullptr);
        i = end;
    }
}

void Reader::sparse(const int64_t* addresses, int64_t count, float* out) const {
    for (int64_t i = 0; i < count; ++i, out += request_.dim)
        if (addresses[i] >= 0)
            regions_.read_sparse(addresses[i], out);
        else if (addresses[i] != kElsewhere)
            std::fill_n(out, request_.dim, 0.0f);
}

void Reader::mixed_parts(const int64_t* addresses, int64_t count, float* out) {
    const int64_t parts = request_.parts, dim = request_.dim;
    parts_.resize(static_cast<size_t>(count * parts * dim));
    single(addresses, count * parts, parts_.data(), false);
    const float* part = parts_.data();
    for (int64_t i = 0; i < count; ++i, out += dim)
        for (int64_t p = 0; p < parts; ++p, part += dim) {
            if (addresses[i * parts] == kElsewhere || (p && addresses[i * parts + p] < 0)) continue;
            for (int64_t d = 0; d < dim; ++d)
                out[d] = p == 0 ? part[d] : request_.combining == PR_SUM ? out[d] + part[d] : out[d] * part[d];
        }
}

// Blocks that run over the end of their array go on at its start; no weight may lie beyond the region.
void Reader::check_blocks_end(const Field& field, const int64_t* starts, int64_t count, int64_t stride) const {
    const int64_t array_end = field.start + field.size;
    if (array_end <= regions_.total()) return;
    const int64_t parts = request_.parts;
    for (int64_t i = 0; i < count; ++i, starts += stride)
        for (int64_t part = 0; part < parts; ++part) {
            const int64_t used = std::min(field.a, request_.dim - part * field.a);
            if (starts[part] >= 0 && used > 0 && std::min(starts[part] + used, array_end) > regions_.total())
                regions_.refuse(std::max(starts[part], regions_.total()));
        }
}

void Reader::make_room_for_blocks(int64_t count, const Field& field) {
    addresses_.resize(static_cast<size_t>(count * request_.parts));
    signs_.resize(static_cast<size_t>(has_signs(field) ? count * ((request_.dim + 63) / 64) : 0));
}

void Reader::find_blocks_of(const Addressing& addressing, Run run, int64_t first, int64_t step, Share share) {
    const Field& field = addressing.field;
    const int64_t parts = request_.parts, words = (request_.dim + 63) / 64;
    int64_t* const addresses = addresses_.data() + first * parts;
    uint64_t* const signs = has_signs(field) ? signs_.data() + first * words : nullptr;
    if (find_blocks(addressing, request_, run, {addresses, step * parts, signs, step * words, request_.dim}) < run.count)
        refuse_first_outside(request_, fields_);
    check_blocks_end(field, addresses, run.count, step * parts);
    share.take(field, run, addresses, step * parts);
}

void Reader::read_blocks(const Field& field, int64_t count, float* out, int64_t out_stride, bool stream) const {
    gather_.blocks({regions_.array(), regions_.storage(), field.start, field.size, field.a, request_.parts, request_.dim,
                    has_signs(field) ? signs_.data() : nullptr},
                   addresses_.data(), count, out, out_stride, stream);
}

void Reader::blocks(const Addressing& addressing, Run run, float* out, int64_t out_stride, bool stream, Share share) {
    make_room_for_blocks(run.count, addressing.field);
    find_blocks_of(addressing, run, 0, 1, share);
    read_blocks(addressing.field, run.count, out, out_stride, stream);
}

void Reader::distinct_blocks(const Addressing& addressing, Run run, float* out, int64_t out_stride, bool stream) {
    const int64_t dim = request_.dim;
    for (int64_t i = 0; i < run.count; ++i)  // a key of the slots cannot be negative; such ids are padding, or refused
        if (run.ids[i * run.stride] < 0) return blocks(addressing, run, out, out_stride, stream);
    distinct_.resize(static_cast<size_t>(run.count));
    place_of_.resize(static_cast<size_t>(run.count));
    Slots slots(run.count, distinct_.data());
    for (int64_t done = 0, next = std::min(kTrial, run.count); done < run.count; next = run.count) {
        for (; done < next; ++done) place_of_[static_cast<size_t>(done)] = slots.place(run.ids[done * run.stride]);
        if (4 * int64_t{slots.count()} > 3 * done) return blocks(addressing, run, out, out_stride, stream);
    }
    const int64_t count = slots.count();
    parts_.resize(static_cast<size_t>(count * dim));
    blocks(addressing, {distinct_.data(), 1, count}, parts_.data(), dim, false);
    for (int64_t i = 0; i < run.count; ++i)
        std::copy_n(parts_.data() + place_of_[static_cast<size_t>(i)] * dim, dim, out + i * out_stride);
}

void Reader::vectors(const Addressing& field, Run run, float* out) {
    if (request_.combining == PR_CONCAT) return blocks(field, run, out, request_.dim, false);
    const int64_t parts = request_.parts;
    addresses_.resize(static_cast<size_t>(run.count * parts));
    if (find_addresses(field, request_, run, addresses_.data(), parts) < run.count)
        refuse_first_outside(request_, fields_);
    rows(addresses_.data(), run.count, out, false);
}

}  // namespace pocketrec
