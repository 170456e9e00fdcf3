// pr_dlrm: a whole model for a few rows, so that what lies between its kernels is not paid four times.
#include <vector>

#include "failure.hpp"
#include "pocketrec.h"

namespace {

using pocketrec::fail;
using pocketrec::say;

void check(const pr_dlrm_nets& nets, const pr_request& request, int64_t width) {
    if (request.offsets) fail(PR_VALUE_ERROR, "a whole model takes one id per column, not bags.");
    const int64_t given = nets.bottom_count ? nets.bottom[nets.bottom_count - 1].outputs : request.dim;
    if (given != request.dim)
        fail(PR_VALUE_ERROR, "the bottom net gives %lld numbers, vectors have %lld.", say(given), say(request.dim));
    if (!nets.top_count || nets.top[0].inputs != width)
        fail(PR_VALUE_ERROR, "the top net must read the %lld numbers that the interaction gives.", say(width));
    if (nets.top[nets.top_count - 1].outputs != 1)
        fail(PR_VALUE_ERROR, "the top net gives %lld numbers, not one.", say(nets.top[nets.top_count - 1].outputs));
}

}  // namespace

int pr_dlrm(const pr_dlrm_nets* nets, const pr_request* request, const float* dense, float* out, pr_error* error) {
    return pocketrec::guarded(error, [&] {
        const int64_t batch = request->batch, fields = request->fields, dim = request->dim;
        const int64_t low = nets->bottom_count ? 1 : 0, count = fields + low, width = low * dim + count * (count - 1) / 2;
        check(*nets, *request, width);
        // low vectors, looked-up vectors, and what the top net reads
        std::vector<float> numbers(static_cast<size_t>(batch * (count * dim + width)));
        float* const vectors = numbers.data() + low * batch * dim;
        float* const together = vectors + batch * fields * dim;
        const pr_interact shape{batch, fields, dim, low, PR_FLOAT32, PR_FLOAT32, PR_FLOAT32};
        const auto pass_on = [&](int status) {
            if (status != PR_OK) fail(static_cast<pr_status>(status), "%s", error->message);
        };
        if (low) pass_on(pr_net(nets->bottom, nets->bottom_count, dense, batch, numbers.data(), error));
        pass_on(pr_lookup(request, vectors, error));
        pass_on(pr_interact_forward(&shape, numbers.data(), vectors, together, 1, error));
        pass_on(pr_net(nets->top, nets->top_count, together, batch, out, error));
    });
}
