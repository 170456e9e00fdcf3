// Codes of a few bits, one behind the other in words. Definition: src/pocketrec/native/packed_codes.py.
#pragma once

#include <cstdint>

#include "pocketrec.h"
#include "program.hpp"

namespace pocketrec {

// The codes of the ids of a field that passed read_program and has some.
struct Packed {
    const Field& field;
    const int32_t* words;
    int64_t parts, wide, narrow;  // wide, narrow: bits of all codes of an id

    Packed(const Field& field, const pr_request& request)
        : field(field),
          words(static_cast<const int32_t*>(request.maps) + field.global),
          parts(request.parts),
          wide(request.parts * field.t),
          narrow(request.parts * field.u) {}

    // The bit that the codes of an id begin at.
    int64_t first(int64_t id) const {
        const int64_t known = id < field.r ? id : 0;
        return known < field.n ? known * wide : field.n * wide + (known - field.n) * narrow;
    }

    // Refused ids are asked for, too.
    void fetch(int64_t id) const { __builtin_prefetch(words + first(id < 0 ? 0 : id) / 32); }

    void found(int64_t id, int64_t* out) const {
        const int64_t bits = (id < field.r ? id : 0) < field.n ? field.t : field.u;
        const uint64_t mask = (uint64_t{1} << bits) - 1;
        int64_t at = first(id), codeword = 0;
        for (int64_t block = 0; block < parts; ++block, at += bits, codeword += int64_t{1} << field.t) {
            const int32_t* word = words + at / 32;
            const int64_t shift = at % 32;
            uint64_t both = static_cast<uint32_t>(word[0]);
            if (shift + bits > 32) both |= uint64_t{static_cast<uint32_t>(word[1])} << 32;
            out[block] = field.p + (codeword + static_cast<int64_t>(both >> shift & mask)) * field.a;
        }
    }
};

}  // namespace pocketrec
