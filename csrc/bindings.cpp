// The module pocketrec._native: the C kernels for Python. Tensors arrive as addresses of their data (ints), so that
// this needs no torch, and one build works with every version of it. Shapes and dtypes were checked in Python
// (src/pocketrec/native/request.py); numbers inside the tensors are checked by the kernels. The GIL is released while
// they run.
#include <nanobind/nanobind.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <deque>
#include <tuple>
#include <utility>
#include <vector>

#include "cpu.hpp"
#include "pocketrec.h"

namespace nb = nanobind;

namespace {

using Numbers = std::vector<int64_t>;

template <class T>
T* pointer(int64_t address) {
    return reinterpret_cast<T*>(static_cast<uintptr_t>(address));
}

// The exceptions of pocketrec.spec.errors carry the kernel's message.
void raise_for(int status, const pr_error& error) {
    if (status == PR_OK) return;
    if (status == PR_MEMORY_ERROR) throw std::bad_alloc();
    const nb::object kind = status == PR_ID_ERROR ? nb::module_::import_("pocketrec.spec.errors").attr("IdError")
                                                  : nb::module_::import_("builtins").attr("ValueError");
    PyErr_SetString(kind.ptr(), error.message);
    throw nb::python_error();
}

// Runs a kernel without the GIL and raises what it reports.
template <class Kernel>
void run(Kernel kernel) {
    pr_error error;
    int status;
    {
        nb::gil_scoped_release released;
        status = kernel(&error);
    }
    raise_for(status, error);
}

// What src/pocketrec/native/packing.py packs, in its order.
class Request {
  public:
    Request(const Numbers& data, const Numbers& rows, const Numbers& storages, const Numbers& numbers) {
        for (size_t i = 0; i < data.size(); ++i)
            regions_.push_back({pointer<const void>(data[i]), rows.at(i), storages.at(i)});
        view_.regions = regions_.data();
        view_.region_count = static_cast<int64_t>(regions_.size());
        view_.ids = pointer<const int64_t>(numbers.at(0));
        view_.batch = numbers.at(1);
        view_.columns = numbers.at(2);
        view_.offsets = pointer<const int64_t>(numbers.at(3));
        view_.offsets_stride = numbers.at(4);
        view_.weights = pointer<const float>(numbers.at(5));
        view_.program = pointer<const int64_t>(numbers.at(6));
        view_.fields = numbers.at(7);
        view_.maps = pointer<const void>(numbers.at(8));
        view_.map_bytes = numbers.at(9);
        view_.map_entries = numbers.at(10);
        view_.dim = numbers.at(11);
        view_.parts = numbers.at(12);
        view_.combining = numbers.at(13);
        view_.pooling = numbers.at(14);
        view_.threads = numbers.at(15);
    }

    Request(const Request&) = delete;  // the view points into it
    Request& operator=(const Request&) = delete;

    const pr_request* view() const { return &view_; }

    // The same of other ids [batch, columns].
    pr_request of(int64_t ids, int64_t batch, int64_t columns) const {
        pr_request other = view_;
        other.ids = pointer<const int64_t>(ids);
        other.batch = batch;
        other.columns = columns;
        return other;
    }

  private:
    std::vector<pr_region> regions_;
    pr_request view_{};
};

void addresses(const Numbers& numbers, int64_t out) {
    const Request request({}, {}, {}, numbers);
    run([&](pr_error* error) { return pr_addresses(request.view(), pointer<int64_t>(out), error); });
}

void lookup(const Numbers& data, const Numbers& rows, const Numbers& storages, const Numbers& numbers, int64_t out) {
    const Request request(data, rows, storages, numbers);
    run([&](pr_error* error) { return pr_lookup(request.view(), pointer<float>(out), error); });
}

int64_t compact(const Numbers& data, const Numbers& rows, const Numbers& storages, const Numbers& numbers, int64_t grad,
                int64_t found, int64_t capacity, int64_t addresses, int64_t grads, int64_t squares) {
    const Request request(data, rows, storages, numbers);
    int64_t count = 0;
    run([&](pr_error* error) {
        return pr_compact(request.view(), pointer<const float>(grad), pointer<const int64_t>(found), capacity,
                          pointer<int64_t>(addresses), pointer<float>(grads), pointer<float>(squares), &count, error);
    });
    return count;
}

void update(const Numbers& regions, const Numbers& units, const Numbers& storages, const Numbers& state, int64_t unit,
            int64_t addresses, int64_t grads, int64_t count, int64_t algorithm, double lr, double eps, double beta1,
            double beta2, double l2, int64_t step, int64_t seed, double scale_lr, int64_t batch, int64_t threads) {
    std::vector<pr_rows> region_rows;
    std::vector<float*> state_data;
    for (size_t i = 0; i < regions.size(); ++i)
        region_rows.push_back({pointer<void>(regions[i]), units.at(i), storages.at(i)});
    for (int64_t address : state) state_data.push_back(pointer<float>(address));
    const pr_rule rule{algorithm, lr, eps, beta1, beta2, l2, step, seed, scale_lr, batch};
    run([&](pr_error* error) {
        return pr_update(region_rows.data(), static_cast<int64_t>(region_rows.size()), state_data.data(), unit,
                         pointer<const int64_t>(addresses), pointer<const float>(grads), count, &rule, threads, error);
    });
}

pr_interact shape_of(const Numbers& numbers) {
    return {numbers.at(0), numbers.at(1), numbers.at(2), numbers.at(3), numbers.at(4), numbers.at(5), numbers.at(6)};
}

void interact(const Numbers& numbers, int64_t low, int64_t vectors, int64_t out, int64_t threads) {
    const pr_interact shape = shape_of(numbers);
    run([&](pr_error* error) {
        return pr_interact_forward(&shape, pointer<const void>(low), pointer<const void>(vectors), pointer<void>(out),
                                   threads, error);
    });
}

void interact_backward(const Numbers& numbers, int64_t grad, int64_t low, int64_t vectors, int64_t grad_low,
                       int64_t grad_vectors, int64_t threads) {
    const pr_interact shape = shape_of(numbers);
    run([&](pr_error* error) {
        return pr_interact_backward(&shape, pointer<const void>(grad), pointer<const void>(low),
                                    pointer<const void>(vectors), pointer<void>(grad_low), pointer<void>(grad_vectors),
                                    threads, error);
    });
}

// layers: six numbers each, as pr_layer.
std::vector<pr_layer> layers_of(const Numbers& layers) {
    std::vector<pr_layer> made;
    for (size_t i = 0; i + 6 <= layers.size(); i += 6)
        made.push_back({pointer<const void>(layers[i]), pointer<const void>(layers[i + 1]), layers[i + 2], layers[i + 3],
                        layers[i + 4], layers[i + 5]});
    return made;
}

void net(const Numbers& layers, int64_t rows, int64_t row_count, int64_t out) {
    const std::vector<pr_layer> made = layers_of(layers);
    run([&](pr_error* error) {
        return pr_net(made.data(), static_cast<int64_t>(made.size()), pointer<const float>(rows), row_count,
                      pointer<float>(out), error);
    });
}

// What stays the same from call to call of pr_dlrm, unpacked once.
class Dlrm {
  public:
    Dlrm(const Numbers& data, const Numbers& rows, const Numbers& storages, const Numbers& numbers, const Numbers& bottom,
         const Numbers& top)
        : request_(data, rows, storages, numbers), bottom_(layers_of(bottom)), top_(layers_of(top)) {}

    void operator()(int64_t dense, int64_t ids, int64_t batch, int64_t columns, int64_t out) const {
        const pr_request request = request_.of(ids, batch, columns);
        const pr_dlrm_nets nets{bottom_.data(), static_cast<int64_t>(bottom_.size()), top_.data(),
                                static_cast<int64_t>(top_.size())};
        run([&](pr_error* error) {
            return pr_dlrm(&nets, &request, pointer<const float>(dense), pointer<float>(out), error);
        });
    }

  private:
    Request request_;
    std::vector<pr_layer> bottom_, top_;
};

// What stays the same from call to call of pr_lookup_joined, unpacked once. parts: of each what lookup takes.
class Joined {
  public:
    Joined(const std::vector<std::tuple<Numbers, Numbers, Numbers, Numbers>>& parts, Numbers joins) : joins_(std::move(joins)) {
        for (const auto& [data, rows, storages, numbers] : parts) parts_.emplace_back(data, rows, storages, numbers);
    }

    Joined(const Joined&) = delete;  // as its parts
    Joined& operator=(const Joined&) = delete;

    // asked, found: for each part where the ids go that it is asked, and its addresses, or 0.
    void operator()(int64_t ids, int64_t batch, int64_t columns, int64_t threads, const Numbers& asked, const Numbers& found,
                    int64_t out) const {
        std::vector<pr_request> requests;
        for (const Request& part : parts_) requests.push_back(part.of(ids, batch, columns));
        requests.at(0).threads = threads;
        std::vector<pr_part> parts;
        for (size_t i = 0; i < requests.size(); ++i)
            parts.push_back({&requests[i], joins_.at(i),
                             pointer<int64_t>(asked.at(i)), pointer<int64_t>(found.at(i))});
        run([&](pr_error* error) {
            return pr_lookup_joined(parts.data(), static_cast<int64_t>(parts.size()), pointer<float>(out), error);
        });
    }

  private:
    std::deque<Request> parts_;  // which cannot be moved
    Numbers joins_;
};

void minhash(int64_t starts, int64_t sets, int64_t members, int64_t member_count, int64_t hashes, int64_t seed,
             int64_t threads, int64_t out) {
    const pr_sets given{pointer<const int64_t>(starts), sets, pointer<const int32_t>(members), member_count};
    run([&](pr_error* error) { return pr_minhash(&given, hashes, seed, threads, pointer<int64_t>(out), error); });
}

void hash_features(int64_t ids, int64_t n, int64_t seed, int64_t count, bool sign, int64_t threads, int64_t out) {
    run([&](pr_error* error) {
        return pr_hash_features(pointer<const int64_t>(ids), n, seed, count, sign, threads, pointer<float>(out), error);
    });
}

void best_codes(int64_t queries, int64_t n, int64_t blocks, int64_t block, int64_t words, int64_t codewords, bool product,
                int64_t limits, int64_t threads, int64_t out) {
    const pr_codebooks books{pointer<const float>(words), blocks, block, codewords, product};
    run([&](pr_error* error) {
        return pr_best_codes(pointer<const float>(queries), n, &books, pointer<const int64_t>(limits), threads,
                             pointer<int64_t>(out), error);
    });
}

void static_function(int64_t keys, int64_t values, int64_t count, int64_t bits, int64_t words) {
    const pr_function function{pointer<const int64_t>(keys), pointer<const int64_t>(values), count, bits};
    run([&](pr_error* error) { return pr_static_function(&function, pointer<int32_t>(words), error); });
}

void norms(int64_t vectors, int64_t count, int64_t dim, int64_t out) {
    nb::gil_scoped_release released;
    pr_norms(pointer<const float>(vectors), count, dim, pointer<float>(out));
}

int64_t scored_keys(int64_t ids, int64_t tables, int64_t importance, int64_t count, int64_t seeds, int64_t lasts,
                    int64_t table_count, int64_t keys, int64_t scores, int64_t values) {
    const pr_occurrences of{pointer<const int64_t>(ids), pointer<const int64_t>(tables), pointer<const float>(importance),
                            count, pointer<const int64_t>(seeds), pointer<const int64_t>(lasts), table_count};
    int64_t kept = 0;
    run([&](pr_error* error) {
        return pr_scored_keys(&of, pointer<int64_t>(keys), pointer<float>(scores), pointer<int64_t>(values), &kept, error);
    });
    return kept;
}

int64_t sift(int64_t words, int64_t sets, int64_t ways, int64_t keys, int64_t scores, int64_t count, float least,
             int64_t values, int64_t forwarded) {
    const pr_sifter sifter{pointer<int32_t>(words), sets, ways};
    int64_t kept = 0;
    run([&](pr_error* error) {
        return pr_sift(&sifter, pointer<const int64_t>(keys), pointer<const float>(scores), count, least,
                       pointer<int64_t>(values), pointer<float>(forwarded), &kept, error);
    });
    return kept;
}

int64_t sketch_insert(int64_t words, int64_t buckets, int64_t slots_per_bucket, int64_t keys, int64_t scores,
                      int64_t count, bool evict_hot, int64_t values, int64_t slots, int64_t hits, int64_t released) {
    const pr_sketch sketch{pointer<int32_t>(words), buckets, slots_per_bucket};
    const pr_inserted out{pointer<int64_t>(values), pointer<int64_t>(slots), pointer<uint8_t>(hits),
                          pointer<int32_t>(released)};
    int64_t distinct = 0;
    run([&](pr_error* error) {
        return pr_sketch_insert(&sketch, pointer<const int64_t>(keys), pointer<const float>(scores), count, evict_hot,
                                &out, &distinct, error);
    });
    return distinct;
}

void sketch_decay(int64_t words, int64_t buckets, int64_t slots_per_bucket, float factor) {
    const pr_sketch sketch{pointer<int32_t>(words), buckets, slots_per_bucket};
    run([&](pr_error* error) { return pr_sketch_decay(&sketch, factor, error); });
}

float sketch_score(int64_t words, int64_t buckets, int64_t slots_per_bucket, int64_t number, bool guaranteed) {
    const pr_sketch sketch{pointer<int32_t>(words), buckets, slots_per_bucket};
    float score = 0;
    run([&](pr_error* error) { return pr_sketch_score(&sketch, number, guaranteed, &score, error); });
    return score;
}

int64_t sketch_demote(int64_t words, int64_t buckets, int64_t slots_per_bucket, float least, int64_t rows) {
    const pr_sketch sketch{pointer<int32_t>(words), buckets, slots_per_bucket};
    int64_t count = 0;
    run([&](pr_error* error) { return pr_sketch_demote(&sketch, least, pointer<int32_t>(rows), &count, error); });
    return count;
}

int64_t sketch_due(int64_t words, int64_t buckets, int64_t slots_per_bucket, int64_t slots, int64_t hits, int64_t count,
                   bool guaranteed, float least, int64_t most, int64_t values) {
    const pr_sketch sketch{pointer<int32_t>(words), buckets, slots_per_bucket};
    const pr_candidates of{pointer<const int64_t>(slots), pointer<const uint8_t>(hits), count, guaranteed, least, most};
    int64_t chosen = 0;
    run([&](pr_error* error) { return pr_sketch_due(&sketch, &of, pointer<int64_t>(values), &chosen, error); });
    return chosen;
}

void hash63(int64_t offsets, int64_t count, int64_t data, int64_t out) {
    nb::gil_scoped_release released;
    pr_hash63(pointer<const int64_t>(offsets), count, pointer<const uint8_t>(data), pointer<int64_t>(out));
}

const char* simd() {
    return pocketrec::name(pocketrec::level());
}

const char* simd_available() {
    return pocketrec::name(pocketrec::available_level());
}

int64_t advise_huge(int64_t data, int64_t bytes) {
    return pr_advise_huge(pointer<void>(data), bytes);
}

}  // namespace

NB_MODULE(_native, module) {
    module.doc() = "Kernels of pocketrec over raw pointers. Call them through pocketrec.native.";
    module.attr("ABI") = POCKETREC_ABI;
    pocketrec::level();  // decided now, by the word that binding.py has just checked
    module.def("addresses", &addresses);
    module.def("lookup", &lookup);
    module.def("compact", &compact);
    module.def("update", &update);
    module.def("interact", &interact);
    module.def("interact_backward", &interact_backward);
    module.def("net", &net);
    nb::class_<Dlrm>(module, "Dlrm")
        .def(nb::init<const Numbers&, const Numbers&, const Numbers&, const Numbers&, const Numbers&, const Numbers&>())
        .def("__call__", &Dlrm::operator());
    nb::class_<Joined>(module, "Joined")
        .def(nb::init<const std::vector<std::tuple<Numbers, Numbers, Numbers, Numbers>>&, Numbers>())
        .def("__call__", &Joined::operator());
    module.def("minhash", &minhash);
    module.def("hash_features", &hash_features);
    module.def("best_codes", &best_codes);
    module.def("static_function", &static_function);
    module.def("norms", &norms);
    module.def("scored_keys", &scored_keys);
    module.def("sift", &sift);
    module.def("sketch_insert", &sketch_insert);
    module.def("sketch_decay", &sketch_decay);
    module.def("sketch_score", &sketch_score);
    module.def("sketch_demote", &sketch_demote);
    module.def("sketch_due", &sketch_due);
    module.def("hash63", &hash63);
    module.def("simd", &simd);
    module.def("simd_available", &simd_available);
    module.def("advise_huge", &advise_huge);
    module.def("keep_freed", &pr_keep_freed);
}
