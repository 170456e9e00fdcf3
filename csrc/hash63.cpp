// pr_hash63: 63-bit hashes of tokens; src/pocketrec/native/hash63.py is the definition.
#include <algorithm>
#include <cstring>

#include "mix.hpp"
#include "pocketrec.h"

namespace {

// Eight bytes as a little-endian word on any machine; compilers make one load of it.
uint64_t little_endian(const uint8_t* bytes) {
    uint64_t word = 0;
    for (int i = 0; i < 8; ++i) word |= static_cast<uint64_t>(bytes[i]) << (8 * i);
    return word;
}

int64_t hash_token(const uint8_t* token, int64_t length) {
    uint64_t state = pocketrec::fin(static_cast<uint64_t>(length) + 0x9E3779B97F4A7C15u);
    for (int64_t done = 0; done < length; done += 8) {
        uint8_t bytes[8] = {};
        std::memcpy(bytes, token + done, static_cast<size_t>(std::min<int64_t>(8, length - done)));
        state = pocketrec::fin(state ^ little_endian(bytes)) * 0x9FB21C651E98DF25u;
    }
    return static_cast<int64_t>(pocketrec::fin(state) >> 1);
}

}  // namespace

void pr_hash63(const int64_t* offsets, int64_t count, const uint8_t* data, int64_t* out) {
    for (int64_t i = 0; i < count; ++i) out[i] = hash_token(data + offsets[i], offsets[i + 1] - offsets[i]);
}
