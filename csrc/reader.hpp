// From addresses to vectors: regions, storages and combining together.
#pragma once

#include <cstdint>
#include <vector>

#include "addressing.hpp"
#include "gather.hpp"
#include "regions.hpp"

namespace pocketrec {

// Which values of a run a look-up writes, where others write the rest.
struct Share {
    bool follows = false;     // padding is what others write
    int64_t* left = nullptr;  // in the strides of the run: ids without an address, which others write, and padding for all else
    int64_t padding = -1;

    // Puts kElsewhere in the place of the first address of values that others write; that of id i is addresses[i * stride].
    void take(const Field& field, Run run, int64_t* addresses, int64_t stride) const;
};

// Reads vectors; holds the scratch space of one thread of a call.
class Reader {
  public:
    Reader(const pr_request& request, const std::vector<Field>& fields, const Regions& regions);

    // out[i] = the vector of value i, whose parts have addresses[i * parts ...]; float [count, dim]. Not for blocks.
    // Times factors[i] unless those are NULL, which they must be where it does not multiply.
    void rows(const int64_t* addresses, int64_t count, float* out, bool stream, const float* factors = nullptr);

    bool multiplies() const { return request_.parts == 1 && regions_.storage() >= 0; }

    // out[i] = the row at addresses[i], zeros for the null address.
    void single(const int64_t* addresses, int64_t count, float* out, bool stream, const float* factors = nullptr);

    // out[i * out_stride ...] = the vector of id i of a run of one field. Blocks only.
    void blocks(const Addressing& field, Run run, float* out, int64_t out_stride, bool stream, Share share = {});

    // The same for a run of each field, all of as many ids, in fields whose blocks are of one array and length:
    // out[(i * fields + f) * dim ...]. Shares: of each field.
    template <class ShareOf>
    void block_rows(const std::vector<Addressing>& fields, const int64_t* ids, int64_t count, float* out, bool stream,
                    ShareOf share_of) {
        const int64_t step = static_cast<int64_t>(fields.size());
        make_room_for_blocks(count * step, fields[0].field);
        for (int64_t f = 0; f < step; ++f) {
            const Addressing& field = fields[static_cast<size_t>(f)];
            find_blocks_of(field, {ids + field.field.column, request_.columns, count}, f, step, share_of(f));
        }
        read_blocks(fields[0].field, count * step, out, request_.dim, stream);
    }

    // The same as blocks, with ids that come several times read once and copied. Pays where a vector is many blocks.
    void distinct_blocks(const Addressing& field, Run run, float* out, int64_t out_stride, bool stream);

    // out[i * dim ...] = the vector of id i of a run of one field, whatever its kind.
    void vectors(const Addressing& field, Run run, float* out);

  private:
    const int64_t* places(const int64_t* addresses, int64_t count);
    Memory memory() const { return regions_.is_one() ? regions_.memory() : Regions::anywhere(); }
    void mixed_parts(const int64_t* addresses, int64_t count, float* out);
    void sparse(const int64_t* addresses, int64_t count, float* out) const;
    void check_blocks_end(const Field& field, const int64_t* starts, int64_t count, int64_t stride) const;

    // Of values that are read together: room, the blocks of those numbered first, first + step, ..., their vectors.
    void make_room_for_blocks(int64_t count, const Field& field);
    void find_blocks_of(const Addressing& field, Run run, int64_t first, int64_t step, Share share);
    void read_blocks(const Field& field, int64_t count, float* out, int64_t out_stride, bool stream) const;

    const pr_request& request_;
    const std::vector<Field>& fields_;
    const Regions& regions_;
    const Gather& gather_;
    std::vector<int64_t> places_, addresses_;
    std::vector<uint64_t> signs_;
    std::vector<float> parts_;
    std::vector<int64_t> distinct_;
    std::vector<int32_t> place_of_;
};

}  // namespace pocketrec
