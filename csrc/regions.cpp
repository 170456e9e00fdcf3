// Reading numbers out of regions. float32 [dim]; float16 and bfloat16 [dim]; int8: uint8 codes [dim], then float32
// scale and bias without alignment (the row of torch.ops.quantized.embedding_bag_byte): value = code * scale + bias.
// int4: two codes a byte, the lower half first [(dim + 1) / 2 bytes], then float16 scale and bias (embedding_bag_4bit).
#include "regions.hpp"

#include <algorithm>

namespace pocketrec {
namespace {

constexpr int64_t kScaleBytes = 8;
constexpr int64_t kHalfScaleBytes = 4;

struct ScaleBias {
    float scale, bias;
};

ScaleBias scale_bias_at(const uint8_t* place) {
    ScaleBias found;
    std::memcpy(&found, place, sizeof found);
    return found;
}

ScaleBias half_scale_bias_at(const uint8_t* place) {
    uint16_t found[2];
    std::memcpy(found, place, sizeof found);
    return {float_of_float16(found[0]), float_of_float16(found[1])};
}

// Code and scale have 15 bits together, so their product is exact: fused with the addition or not, the bits are these.
float decode_nibble(const uint8_t* codes, int64_t number, ScaleBias quantum) {
    const int code = (codes[number / 2] >> (number % 2 * 4)) & 15;
    return static_cast<float>(code) * quantum.scale + quantum.bias;
}

void decode_row(const pr_region& region, int64_t row, int64_t dim, float* out) {
    switch (region.storage) {
        case PR_FLOAT32:
            std::memcpy(out, static_cast<const float*>(region.data) + row * dim,
                        static_cast<size_t>(dim) * sizeof(float));
            break;
        case PR_FLOAT16: {
            const uint16_t* in = static_cast<const uint16_t*>(region.data) + row * dim;
            for (int64_t d = 0; d < dim; ++d) out[d] = float_of_float16(in[d]);
            break;
        }
        case PR_BFLOAT16: {
            const uint16_t* in = static_cast<const uint16_t*>(region.data) + row * dim;
            for (int64_t d = 0; d < dim; ++d) out[d] = float_of_bfloat16(in[d]);
            break;
        }
        case PR_INT4: {
            const int64_t code_bytes = (dim + 1) / 2;
            const uint8_t* in = static_cast<const uint8_t*>(region.data) + row * (code_bytes + kHalfScaleBytes);
            const ScaleBias quantum = half_scale_bias_at(in + code_bytes);
            for (int64_t d = 0; d < dim; ++d) out[d] = decode_nibble(in, d, quantum);
            break;
        }
        default: {
            const uint8_t* in = static_cast<const uint8_t*>(region.data) + row * (dim + kScaleBytes);
            const ScaleBias quantum = scale_bias_at(in + dim);
            for (int64_t d = 0; d < dim; ++d) out[d] = static_cast<float>(in[d]) * quantum.scale + quantum.bias;
        }
    }
}

}  // namespace

Regions::Regions(const pr_request& request) : regions_(request.regions, request.regions + request.region_count) {
    for (const pr_region& region : regions_) {
        const bool shared_codes = request.combining == PR_CONCAT && region.storage >= PR_INT4;
        total_ += shared_codes ? region.rows * PR_WEIGHTS_PER_SCALE : region.rows;
        ends_.push_back(total_);
    }
}

void Regions::refuse(int64_t address) const {
    fail(PR_ID_ERROR, "address %lld lies beyond the %lld rows (or weights) of the regions.", say(address), say(total_));
}

void Regions::read_row(int64_t address, int64_t dim, float* out) const {
    if (address < 0) {
        std::fill(out, out + dim, 0.0f);
        return;
    }
    if (address >= total_) refuse(address);
    const size_t number = static_cast<size_t>(std::upper_bound(ends_.begin(), ends_.end(), address) - ends_.begin());
    decode_row(regions_[number], address - (number ? ends_[number - 1] : 0), dim, out);
}

float Regions::read_weight(int64_t address) const {
    if (address >= total_) refuse(address);
    const pr_region& region = regions_[0];
    switch (region.storage) {
        case PR_FLOAT32:
            return static_cast<const float*>(region.data)[address];
        case PR_FLOAT16:
            return float_of_float16(static_cast<const uint16_t*>(region.data)[address]);
        case PR_BFLOAT16:
            return float_of_bfloat16(static_cast<const uint16_t*>(region.data)[address]);
        case PR_INT4: {
            constexpr int64_t kWidth = PR_WEIGHTS_PER_SCALE, kCodeBytes = kWidth / 2;
            const uint8_t* row =
                static_cast<const uint8_t*>(region.data) + address / kWidth * (kCodeBytes + kHalfScaleBytes);
            return decode_nibble(row, address % kWidth, half_scale_bias_at(row + kCodeBytes));
        }
        default: {
            constexpr int64_t kWidth = PR_WEIGHTS_PER_SCALE;
            const uint8_t* row = static_cast<const uint8_t*>(region.data) + address / kWidth * (kWidth + kScaleBytes);
            const ScaleBias quantum = scale_bias_at(row + kWidth);
            return static_cast<float>(row[address % kWidth]) * quantum.scale + quantum.bias;
        }
    }
}

}  // namespace pocketrec
