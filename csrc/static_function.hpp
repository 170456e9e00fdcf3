// A function of keys that knows no keys: a ribbon's words, read. Definition: src/pocketrec/native/static_function.py.
#pragma once

#include <cstdint>

#include "mix.hpp"

namespace pocketrec {

constexpr int64_t kSlotsPerBlock = 32;
constexpr int64_t kRibbon = 64;  // slots that a key reads
constexpr uint64_t kRibbonSalt = 0xD1342543DE82EF95u;

struct StaticFunction {
    const int32_t* words;  // the seed, then blocks of 32 slots, a word per bit
    int64_t starts;        // places where a ribbon may begin
    int64_t bits;

    StaticFunction(const int32_t* words, int64_t keys, int64_t bits)
        : words(words), starts(slots_of(keys) - kRibbon), bits(bits) {}

    static int64_t slots_of(int64_t keys) {
        const int64_t length = 64 - __builtin_clzll(static_cast<uint64_t>(keys) | 1);
        const int64_t spare = length > 10 ? keys / 256 * 3 * (length - 10) : 0;
        return (keys + spare + kRibbon + kSlotsPerBlock - 1) / kSlotsPerBlock * kSlotsPerBlock;
    }

    // int32 words of a function of so many keys; one of none has none, and must not be asked.
    static int64_t words_of(int64_t keys, int64_t bits) {
        return keys ? 1 + slots_of(keys) / kSlotsPerBlock * bits : 0;
    }

    struct Ribbon {
        int64_t start;
        uint64_t slots;  // bit i: slot start + i is read; bit 0 is set
    };

    static Ribbon ribbon(uint64_t key, uint64_t seed, int64_t starts) {
        const uint64_t hash = mix(key, seed);
        return {bucket(hash, starts), fin(hash ^ kRibbonSalt) | 1};
    }

    Ribbon ribbon(uint64_t key) const { return ribbon(key, static_cast<uint32_t>(words[0]), starts); }

    const int32_t* block(const Ribbon& of) const { return words + 1 + of.start / kSlotsPerBlock * bits; }

    uint64_t value(const Ribbon& of) const {
        const int32_t* first = block(of);
        const int64_t offset = of.start % kSlotsPerBlock;
        // What the ribbon reads of each of three blocks: starts < slots - 64, so that the third is there.
        const auto part = [](uint64_t slots) { return static_cast<uint32_t>(slots); };
        const uint32_t low = part(of.slots << offset), high = part(of.slots >> (kSlotsPerBlock - offset)),
                       last = offset ? part(of.slots >> (kRibbon - offset)) : 0;
        uint64_t found = 0;
        for (int64_t bit = 0; bit < bits; ++bit) {
            const auto word = [&](int64_t of_block) { return static_cast<uint32_t>(first[of_block * bits + bit]); };
            const uint32_t read = (word(0) & low) ^ (word(1) & high) ^ (word(2) & last);
            found |= static_cast<uint64_t>(__builtin_parity(read)) << bit;
        }
        return found;
    }
};

}  // namespace pocketrec
