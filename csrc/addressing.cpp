#include "addressing.hpp"

#include <algorithm>

#include "cores.hpp"
#include "gather.hpp"
#include "packed.hpp"
#include "sketched.hpp"
#include "static_function.hpp"
#include "values.hpp"
#include "words.hpp"

namespace pocketrec {
namespace {

// Runs `rule(id, out)` for every id of the run that the field takes and that is not padding.
template <class Rule>
int64_t each(const Field& field, int64_t parts, Run run, int64_t* out, int64_t out_stride, Rule rule) {
    for (int64_t i = 0; i < run.count; ++i, out += out_stride) {
        const int64_t id = run.ids[i * run.stride];
        if (field.is_padding(id))
            std::fill(out, out + parts, int64_t{-1});
        else if (!field.takes(id))
            return i;
        else
            rule(id, out);
    }
    return run.count;
}

// The same for a rule that gives one address. Most calls have one part: their loop is kept short.
template <class Rule>
int64_t each_single(const Field& field, int64_t parts, Run run, int64_t* out, int64_t out_stride, Rule rule) {
    if (parts > 1)
        return each(field, parts, run, out, out_stride, [&](int64_t id, int64_t* own) {
            own[0] = rule(id);
            std::fill(own + 1, own + parts, int64_t{-1});
        });
    const int64_t* ids = run.ids;
    const int64_t padding = field.padding, count = run.count, stride = run.stride;
    const uint64_t last = static_cast<uint64_t>(field.last);
    for (int64_t i = 0; i < count; ++i, ids += stride, out += out_stride) {
        const int64_t id = *ids;
        if (static_cast<uint64_t>(id) <= last && id != padding)
            *out = rule(id);
        else if (field.is_padding(id))
            *out = -1;
        else
            return i;
    }
    return count;
}

// Sets the signs of one block, from number d of the vector on: 64 bits at a time, to wherever they begin.
inline void set_signs(uint64_t block_hash, int64_t length, int64_t dim, int64_t d, uint64_t* out) {
    const uint64_t salted = block_hash ^ kSignSalt;
    for (int64_t j = 0; j < length && d + j < dim; j += 64) {
        const int64_t count = length - j < dim - d - j ? length - j : dim - d - j, place = d + j, shift = place % 64;
        const uint64_t mask = count < 64 ? (uint64_t{1} << count) - 1 : ~uint64_t{0};
        const uint64_t bits = mix(salted, static_cast<uint64_t>(1 + j / 64)) & mask;
        out[place / 64] |= bits << shift;
        if (shift && shift + count > 64) out[place / 64 + 1] |= bits >> (64 - shift);
    }
}

constexpr int64_t kFewBuckets = int64_t{1} << 32;
constexpr int64_t kTogether = 32;  // ids whose buckets or signatures are fetched at once

// Runs `wide` on many ids at once where this level can, and `one_by_one` on what it leaves; both return how many they did.
template <class Wide, class OneByOne>
int64_t in_turns(Run run, Wide wide, OneByOne one_by_one) {
    constexpr int64_t kMostAtOnce = 8;
    int64_t done = 0;
    while (done < run.count) {
        done += wide(done, run.count - done);
        const int64_t next = std::min(kMostAtOnce, run.count - done), did = one_by_one(done, next);
        done += did;
        if (did < next) break;
    }
    return done;
}

// Where the blocks of a field may begin.
struct Choices {
    explicit Choices(const Field& field) {
        const bool aligned = field.b & PR_ALIGNED;
        count = aligned ? field.size / field.a : field.b & PR_NO_WRAP ? field.size - field.a + 1 : field.size;
        step = aligned ? field.a : 1;
    }
    int64_t count, step;
};

// Starts of the blocks of a field, and their signs where `signs` is not NULL; words(id, parts) says what each is drawn from.
template <class Words>
int64_t blocks_one_by_one(const Field& field, int64_t parts, Run run, Targets out, Words words) {
    const Choices choices(field);
    const int64_t start = field.start, length = field.a, sign_words = (out.dim + 63) / 64;
    return each(field, parts, run, out.addresses, out.stride, [&](int64_t id, int64_t* own) {
        uint64_t* signs = nullptr;
        if (out.signs) {  // of padding they stay what they were
            signs = out.signs + (own - out.addresses) / out.stride * out.signs_stride;
            std::fill(signs, signs + sign_words, uint64_t{0});
        }
        if (field.owns(id)) {
            const int64_t first = field.p + (id - 1) * field.q;
            for (int64_t block = 0; block < parts; ++block) own[block] = first + block * length;
            return;
        }
        const auto of = words.of(id);
        for (int64_t block = 0; block < parts; ++block) {
            const uint64_t hash = mix(of(block), static_cast<uint64_t>(block));
            own[block] = start + bucket(hash, choices.count) * choices.step;
            if (signs) set_signs(hash, length, out.dim, block * length, signs);
        }
    });
}

int64_t blocks_one_by_one(const Field& field, const pr_request& request, Run run, Targets out) {
    const int64_t parts = request.parts;
    if (field.kind == PR_SIGNATURE && field.r) return blocks_one_by_one(field, parts, run, out, SignatureWords(field, request));
    if (field.kind == PR_SETS && field.r) return blocks_one_by_one(field, parts, run, out, SetWords(field, request));
    return blocks_one_by_one(field, parts, run, out, HashWords{static_cast<uint64_t>(field.seed)});
}

int64_t blocks(const Field& field, const pr_request& request, Run run, Targets out) {
    const Choices choices(field);
    // what words of signatures and sets are made with is made once per run, not for a few ids at a time
    const bool prepares = field.r && (field.kind == PR_SETS || field.u > 1);
    if (!gather().hash_ids || prepares || choices.count >= kFewBuckets || field.a >= kFewBuckets ||
        (out.signs && 64 % field.a && field.a % 64))
        return blocks_one_by_one(field, request, run, out);
    const HashRule rule{static_cast<uint64_t>(field.seed), static_cast<uint64_t>(choices.count),
                        static_cast<uint64_t>(choices.step), field.start, field.n, request.parts, true,
                        field.padding, field.last, field.a, out.dim};
    const auto cut = [&](int64_t from) {
        Targets rest = out;
        rest.addresses += from * out.stride;
        if (out.signs) rest.signs += from * out.signs_stride;
        return rest;
    };
    const auto wide = [&](int64_t from, int64_t count) {
        const Targets to = cut(from);
        return gather().hash_ids(rule, run.ids + from * run.stride, run.stride, count, to.addresses, to.stride, to.signs,
                                 to.signs_stride);
    };
    const auto one_by_one = [&](int64_t from, int64_t count) {
        return blocks_one_by_one(field, request, {run.ids + from * run.stride, run.stride, count}, cut(from));
    };
    const int64_t done = in_turns(run, wide, one_by_one);
    if (!field.r) return done;
    // Ids with signatures went by their own hash with the others, which costs less than to look for them before.
    const SignatureWords words(field, request);
    int64_t found[kTogether];
    for (int64_t i = 0; i < done;) {
        int64_t count = 0;
        for (const int64_t end = std::min(i + kTogether, done); i < end; ++i) {
            found[count] = i;
            count += words.has(run.ids[i * run.stride]);
        }
        for (int64_t j = 0; j < count; ++j) words.prefetch(run.ids[found[j] * run.stride]);
        for (int64_t j = 0; j < count; ++j)
            blocks_one_by_one(field, request.parts, {run.ids + found[j] * run.stride, run.stride, 1}, cut(found[j]), words);
    }
    return done;
}

int64_t hashed(const Field& field, int64_t parts, Run run, int64_t* out, int64_t out_stride) {
    const uint64_t seed = static_cast<uint64_t>(field.seed);
    const auto one_by_one = [&](int64_t from, int64_t count) {
        const Run rest{run.ids + from * run.stride, run.stride, count};
        return each_single(field, parts, rest, out + from * out_stride, out_stride, [=](int64_t id) {
            if (id < field.a) return field.start + id;
            return field.start + field.a + bucket(mix(static_cast<uint64_t>(id), seed), field.size);
        });
    };
    if (!gather().hash_ids || field.size >= kFewBuckets || parts > 1) return one_by_one(0, run.count);
    const HashRule rule{seed, static_cast<uint64_t>(field.size), 1, field.start + field.a, field.a, 1, false,
                        field.padding, field.last, 64, 0};
    const auto wide = [&](int64_t from, int64_t count) {
        return gather().hash_ids(rule, run.ids + from * run.stride, run.stride, count, out + from * out_stride, out_stride,
                                 nullptr, 0);
    };
    return in_turns(run, wide, one_by_one);
}

// Addresses of ids that are found by their tags: `fetch(bucket)` and then `follow(bucket)` for some ids, then
// `find(bucket, tag)` for each, so that they wait for memory together.
template <class Fetch, class Follow, class Find>
int64_t by_tags(const Field& field, int64_t parts, Run run, int64_t* out, int64_t out_stride, Fetch fetch, Follow follow,
                Find find) {
    const uint64_t seed = static_cast<uint64_t>(field.seed);
    const bool wide = gather().tag_ids && field.size < kFewBuckets;
    int64_t buckets[kTogether];
    int32_t tags[kTogether];
    for (int64_t first = 0; first < run.count; first += kTogether) {
        const int64_t count = std::min(kTogether, run.count - first);
        const int64_t* ids = run.ids + first * run.stride;
        // of padding and of refused ids in vain
        int64_t done = 0;
        if (wide) done = gather().tag_ids(seed, static_cast<uint64_t>(field.size), ids, run.stride, count, buckets, tags);
        for (int64_t i = done; i < count; ++i) {
            const uint64_t key = mix(static_cast<uint64_t>(ids[i * run.stride]), seed);
            buckets[i] = bucket(key, field.size);
            tags[i] = tag(key);
        }
        for (int64_t i = 0; i < count; ++i) fetch(buckets[i]);
        for (int64_t i = 0; i < count; ++i) follow(buckets[i]);
        for (int64_t i = 0; i < count; ++i, out += out_stride) {
            const int64_t id = ids[i * run.stride];
            if (field.is_padding(id))
                out[0] = -1;
            else if (!field.takes(id))
                return first + i;
            else
                out[0] = find(buckets[i], tags[i]);
            if (parts > 1) std::fill(out + 1, out + parts, int64_t{-1});
        }
    }
    return run.count;
}

template <class Map>
int64_t sketched(const Field& field, int64_t parts, Run run, const Map* maps, int64_t* out, int64_t out_stride) {
    const int64_t words = 3 * field.a;
    const Map* sketch = maps + field.b;
    const auto fetch = [=](int64_t bucket) {
        __builtin_prefetch(sketch + bucket * words);
        __builtin_prefetch(sketch + bucket * words + words - 1);
    };
    return by_tags(field, parts, run, out, out_stride, fetch, [](int64_t) {}, [&](int64_t bucket, int32_t tag) {
        return sketched_address(field, sketch + bucket * words, tag);
    });
}

// Tags of buckets, as pocketrec.native.tagged lays them out.
template <class Map>
struct Tags {
    const Map* offsets;
    int64_t buckets, count;

    // Kept inside the tags, whatever the map says.
    int64_t offset(int64_t bucket) const { return std::clamp<int64_t>(offsets[bucket], 0, count); }

    const Map* at(int64_t bucket) const { return offsets + buckets + 1 + offset(bucket); }

    // The place of a tag of this bucket, or -1.
    int64_t find(int64_t bucket, int32_t tag) const {
        const int64_t begin = offset(bucket), end = std::min(offset(bucket + 1), begin + PR_MOST_SLOTS);
        const Map* tags = offsets + buckets + 1;
        for (int64_t place = begin; place < end; ++place)
            if (tags[place] == tag) return place;
        return -1;
    }
};

template <class Map>
int64_t tagged(const Field& field, int64_t parts, Run run, const Map* maps, int64_t* out, int64_t out_stride) {
    const Tags<Map> own{maps + field.b, field.size, field.n};
    const Tags<Map> shared{maps + (field.u > 0 ? field.r : 0), field.size, field.s};
    return by_tags(
        field, parts, run, out, out_stride, [&](int64_t bucket) { __builtin_prefetch(own.offsets + bucket); },
        [&](int64_t bucket) { __builtin_prefetch(own.at(bucket)); },
        [&](int64_t bucket, int32_t tag) {
            const int64_t place = own.find(bucket, tag);
            if (place >= 0) return field.start + place;
            return field.u > 0 && shared.find(bucket, tag) >= 0 ? shared_row(field, tag) : int64_t{-1};
        });
}

// The functions of keys of a field of keyed codes: what an id is, the codes of those that have one per block, and the
// number of own weights.
struct Keyed {
    const Field& field;
    int64_t parts, width, words, coarse;  // words, coarse: addresses of codewords of blocks and of whole vectors
    StaticFunction kind, fine, own;

    Keyed(const Field& field, const pr_request& request)
        : field(field),
          parts(request.parts),
          width(request.parts * field.a),
          words(field.q + field.n * width),
          coarse(words + (width << field.t)),
          kind(static_cast<const int32_t*>(request.maps) + field.global, field.n + field.r + field.s,
               field.u + field.key_bits()),
          fine(kind.words + StaticFunction::words_of(field.n + field.r + field.s, kind.bits), field.r, parts * field.t),
          own(fine.words + StaticFunction::words_of(field.r, fine.bits), field.n, field.own_bits()) {}

    // Whether an id may have an entry; where keys are checked, that says it.
    bool may(int64_t id) const { return field.b >= 0 || (id >= 1 && id < -field.b); }

    void found(uint64_t key, const StaticFunction::Ribbon& ribbon, int64_t* out) const {
        const uint64_t value = kind.value(ribbon), symbol = value & ((uint64_t{1} << field.u) - 1);
        const uint64_t mask = (uint64_t{1} << field.key_bits()) - 1;
        if ((static_cast<uint32_t>(tag(key)) & mask) != value >> field.u) return one(out, field.p);
        if (symbol >= 2) return one(out, coarse + (static_cast<int64_t>(symbol) - 2) * width);
        if (symbol == 1) {
            const uint64_t number = field.n ? own.value(own.ribbon(key)) : 0;
            return one(out, number < static_cast<uint64_t>(field.n) ? field.q + static_cast<int64_t>(number) * width : field.p);
        }
        if (!field.r) return one(out, field.p);
        uint64_t codes = fine.value(fine.ribbon(key));
        for (int64_t block = 0; block < parts; ++block, codes >>= field.t)
            out[block] = words + ((block << field.t) + static_cast<int64_t>(codes & ((uint64_t{1} << field.t) - 1))) * field.a;
    }

    // Blocks one behind the other.
    void one(int64_t* out, int64_t first) const {
        for (int64_t block = 0; block < parts; ++block) out[block] = first + block * field.a;
    }
};

constexpr int64_t kOnTheirWay = 16;  // ids whose words are fetched before the first of them is read

int64_t keyed(const Field& field, const pr_request& request, Run run, int64_t* out, int64_t out_stride) {
    const int64_t parts = request.parts;
    if (field.n + field.r + field.s == 0)
        return each(field, parts, run, out, out_stride, [&](int64_t, int64_t* own) {
            for (int64_t block = 0; block < parts; ++block) own[block] = field.p + block * field.a;
        });
    const Keyed functions(field, request);
    uint64_t keys[kOnTheirWay];
    StaticFunction::Ribbon ribbons[kOnTheirWay];
    for (int64_t begin = 0; begin < run.count; begin += kOnTheirWay) {
        const int64_t count = std::min(kOnTheirWay, run.count - begin);
        const int64_t* ids = run.ids + begin * run.stride;
        for (int64_t i = 0; i < count; ++i) {
            keys[i] = mix(static_cast<uint64_t>(ids[i * run.stride]), static_cast<uint64_t>(field.seed));
            ribbons[i] = functions.kind.ribbon(keys[i]);
            __builtin_prefetch(functions.kind.block(ribbons[i]));
        }
        for (int64_t i = 0; i < count; ++i, out += out_stride) {
            const int64_t id = ids[i * run.stride];
            if (field.is_padding(id))
                std::fill(out, out + parts, int64_t{-1});
            else if (!field.takes(id))
                return begin + i;
            else if (functions.may(id))
                functions.found(keys[i], ribbons[i], out);
            else
                functions.one(out, field.p);
        }
    }
    return run.count;
}

// What follows stands in functions of its own, with copies of what it divides by: one that holds the loops of all kinds is
// so large that the compiler calls for every division.
int64_t quotient_and_remainder(const Addressing& prepared, int64_t parts, Run run, int64_t* out, int64_t out_stride) {
    const Addressing own = prepared;
    return each(own.field, parts, run, out, out_stride, [own](int64_t id, int64_t* found) {
        const int64_t permuted = own.permuted(id), quotient = own.by_size.quotient(permuted);
        found[0] = own.field.start + quotient;
        found[1] = own.field.a + permuted - quotient * own.field.size;
    });
}

// u digits of ids in base size, the last one first.
int64_t digits(const Addressing& prepared, int64_t parts, Run run, int64_t* out, int64_t out_stride) {
    const Addressing own = prepared;
    return each(own.field, parts, run, out, out_stride, [own, parts](int64_t id, int64_t* found) {
        int64_t left = own.permuted(id), start = own.field.start;
        for (int64_t part = 0; part < own.field.u; ++part, start += own.field.size) {
            const int64_t quotient = own.by_size.quotient(left);
            found[part] = start + left - quotient * own.field.size;
            left = quotient;
        }
        std::fill(found + own.field.u, found + parts, int64_t{-1});
    });
}

// Bits of ids that are dealt out to u parts: part j has bits j, j + u, j + 2 u, ... of the b ones.
int64_t dealt(const Addressing& prepared, int64_t parts, Run run, int64_t* out, int64_t out_stride) {
    const Field& field = prepared.field;
    return each(field, parts, run, out, out_stride, [&](int64_t id, int64_t* own) {
        const int64_t permuted = prepared.permuted(id);
        int64_t start = field.start;
        for (int64_t part = 0; part < field.u; ++part) {
            int64_t number = 0, bit = 0;
            for (int64_t place = part; place < field.b; place += field.u) number |= (permuted >> place & 1) << bit++;
            own[part] = start + number;
            start += int64_t{1} << bit;
        }
        std::fill(own + field.u, own + parts, int64_t{-1});
    });
}

// The place of an id's row in the page that a map names for its own. A wild entry is cut to a page far beyond all regions.
int64_t paged(const Addressing& prepared, const pr_request& request, Run run, int64_t* out, int64_t out_stride) {
    const Field& field = prepared.field;
    const int64_t far = (int64_t{1} << 61) / field.n;
    return each_single(field, request.parts, run, out, out_stride, [&, far](int64_t id) {
        const int64_t known = id < field.size ? id : field.a;
        if (known < 0) return int64_t{-1};
        const int64_t place = field.q + known, page = prepared.by_n.quotient(place);
        const int64_t kept = map_entry(request, field.b + page);
        return kept < 0 ? int64_t{-1} : field.start + std::min(kept, far) * field.n + place - page * field.n;
    });
}

int64_t packed(const Field& field, const pr_request& request, Run run, int64_t* out, int64_t out_stride) {
    const int64_t parts = request.parts;
    if (!field.r)
        return each(field, parts, run, out, out_stride,
                    [&](int64_t, int64_t* own) { std::fill(own, own + parts, int64_t{-1}); });
    const Packed codes(field, request);
    for (int64_t i = 0; i < std::min(kOnTheirWay, run.count); ++i) codes.fetch(run.ids[i * run.stride]);
    int64_t next = kOnTheirWay;
    return each(field, parts, run, out, out_stride, [&](int64_t id, int64_t* own) {
        if (next < run.count) codes.fetch(run.ids[next++ * run.stride]);
        codes.found(id, own);
    });
}

}  // namespace

Addressing::Addressing(const Field& field) : field(field) {
    const bool divided = field.kind == PR_QUOTIENT_REMAINDER || field.kind == PR_DIGITS;
    if (divided) by_size = Divider(field.size);
    if (divided || field.kind == PR_PAGED) by_n = Divider(field.n);
}

std::vector<Addressing> prepare(const std::vector<Field>& fields) {
    return {fields.begin(), fields.end()};
}

int64_t find_blocks(const Addressing& prepared, const pr_request& request, Run run, Targets out) {
    if (has_signs(prepared.field)) return blocks(prepared.field, request, run, out);
    return find_addresses(prepared, request, run, out.addresses, out.stride);
}

int64_t find_addresses(const Addressing& prepared, const pr_request& request, Run run, int64_t* out,
                       int64_t out_stride) {
    const Field& field = prepared.field;
    const int64_t parts = request.parts;
    const uint64_t seed = static_cast<uint64_t>(field.seed);
    switch (field.kind) {
        case PR_ROW: {
            const int64_t fold = row_fold(field), first = field.b, start = field.start, size = field.size;
            return each_single(field, parts, run, out, out_stride,
                               [=](int64_t id) { return id < size && id >= first ? start + id - first : fold; });
        }
        case PR_HASH:
            return hashed(field, parts, run, out, out_stride);
        case PR_QUOTIENT_REMAINDER:
            return quotient_and_remainder(prepared, parts, run, out, out_stride);
        case PR_HASHES:
            return each(field, parts, run, out, out_stride, [&](int64_t id, int64_t* own) {
                std::fill(own, own + parts, int64_t{-1});
                if (id < field.a) {
                    own[0] = field.start + id;
                    return;
                }
                const uint64_t base = mix(static_cast<uint64_t>(id), seed);
                for (int64_t part = 0; part < field.n; ++part)
                    own[part] = field.start + field.a + bucket(mix(base, static_cast<uint64_t>(part)), field.size);
            });
        case PR_BLOCK:
        case PR_SIGNATURE:
        case PR_SETS:
            return blocks(field, request, run, {out, out_stride, nullptr, 0, 0});
        case PR_LINEAR_BLOCK:
            return each(field, parts, run, out, out_stride, [&](int64_t id, int64_t* own) {
                for (int64_t block = 0; block < parts; ++block)
                    own[block] = field.start + linear_block_start(field, id, block);
            });
        case PR_PAGED:
            return paged(prepared, request, run, out, out_stride);
        case PR_KEYED_CODES:
            return keyed(field, request, run, out, out_stride);
        case PR_DIGITS:
            return (field.b ? dealt : digits)(prepared, parts, run, out, out_stride);
        case PR_PACKED_CODES:
            return packed(field, request, run, out, out_stride);
        case PR_CHAIN: {
            const Cores cores(field);
            return each(field, parts, run, out, out_stride, [&](int64_t id, int64_t* own) {
                const Slices slices = cores.slices(id < cores.ids ? id : 0);
                std::copy_n(slices.begin(), cores.count, own);
            });
        }
        case PR_SKETCHED:
            if (request.map_bytes == 4)
                return sketched(field, parts, run, static_cast<const int32_t*>(request.maps), out, out_stride);
            return sketched(field, parts, run, static_cast<const int64_t*>(request.maps), out, out_stride);
        case PR_TAGGED:
            if (request.map_bytes == 4)
                return tagged(field, parts, run, static_cast<const int32_t*>(request.maps), out, out_stride);
            return tagged(field, parts, run, static_cast<const int64_t*>(request.maps), out, out_stride);
        default:
            return each_single(field, parts, run, out, out_stride,
                               [&](int64_t id) { return mapped_address(field, id, request); });
    }
}

void refuse_first_outside(const pr_request& request, const std::vector<Field>& fields) {
    const auto check = [&](int64_t number, const Field& field, int64_t value, int64_t id) {
        if (!field.is_padding(id)) refuse_outside(field, id, value, number);
    };
    if (!request.offsets) for_each_cell(request, fields, check);
    if (request.offsets)
        for_each_bag(request, fields, [&](int64_t number, const Field& field, int64_t, int64_t begin, int64_t end) {
            for (int64_t value = begin; value < end; ++value) check(number, field, value, request.ids[value]);
        });
    fail(PR_ID_ERROR, "an id was refused and would not be any more: ids changed while they were read.");
}

}  // namespace pocketrec
