// What the blocks of an id are drawn from: a hash of the id, or a word that alike ids share. Definition:
// src/pocketrec/native/addresses.py (block, signature, sets).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "least_hashes.hpp"
#include "mix.hpp"
#include "program.hpp"

namespace pocketrec {

// Every id by itself.
struct HashWords {
    uint64_t seed;

    auto of(int64_t id) const {
        const uint64_t word = mix(static_cast<uint64_t>(id), seed);
        return [word](int64_t) { return word; };
    }
};

// Keys of a signature; ids without one by themselves. The field has ids with signatures, which lie inside the maps.
class SignatureWords {
  public:
    SignatureWords(const Field& field, const pr_request& request)
        : field_(field), maps_(static_cast<const int64_t*>(request.maps) + field.global), per_word_(64 / field.t),
          words_(field.words()) {
        if (field.u == 1) return;
        picks_.resize(static_cast<size_t>(request.parts * field.u));
        for (int64_t block = 0; block < request.parts; ++block)
            for (int64_t j = 0; j < field.u; ++j)
                picks_[static_cast<size_t>(block * field.u + j)] =
                    bucket(mix(static_cast<uint64_t>(64 * block + j), kPickSalt), field.s);
    }

    auto of(int64_t id) const {
        const int64_t number = id - field_.n - 1;
        const int64_t* own = nullptr;
        if (has(id)) own = maps_ + number * words_;
        if (own && !*own) own = nullptr;
        const uint64_t other = own ? 0 : mix(static_cast<uint64_t>(id), static_cast<uint64_t>(field_.seed));
        return [this, own, other](int64_t block) { return own ? joined(own, block) : other; };
    }

    // Whether the id is one of those that may have a signature.
    bool has(int64_t id) const {
        return static_cast<uint64_t>(id) - static_cast<uint64_t>(field_.n) - 1 < static_cast<uint64_t>(field_.r);
    }

    void prefetch(int64_t id) const { __builtin_prefetch(maps_ + (id - field_.n - 1) * words_); }

  private:
    static constexpr uint64_t kPickSalt = 0xA0761D6478BD642Fu;

    uint64_t key(const int64_t* own, int64_t number) const {
        const uint64_t mask = (uint64_t{1} << field_.t) - 1;
        const int64_t word = number < per_word_ ? 0 : number / per_word_;  // most signatures have one, and divisions are slow
        return static_cast<uint64_t>(own[word]) >> ((number - word * per_word_) * field_.t) & mask;
    }

    uint64_t joined(const int64_t* own, int64_t block) const {
        if (field_.u == 1) return key(own, block < field_.s ? block : block % field_.s);
        uint64_t found = 0;
        for (int64_t j = 0; j < field_.u; ++j)
            found |= key(own, picks_[static_cast<size_t>(block * field_.u + j)]) << (j * field_.t);
        return found;
    }

    const Field& field_;
    const int64_t* maps_;
    int64_t per_word_, words_;
    std::vector<int64_t> picks_;  // of each block, field.u keys
};

// Least hashes of a set, found when they are asked for; ids without one by themselves. What ids that came lately had is
// kept, since popular ids have the largest sets. The field has ids with sets; what the maps say of them may be wrong.
class SetWords {
  public:
    SetWords(const Field& field, const pr_request& request)
        : field_(field), starts_(static_cast<const int32_t*>(request.maps) + field.global), members_(starts_ + field.r + 1),
          room_(request.map_entries - field.global - field.r - 1), parts_(request.parts),
          kept_(static_cast<size_t>(kKept * request.parts)) {
        ids_.fill(-1);
    }

    auto of(int64_t id) {
        const uint64_t* words = nullptr;
        const int64_t number = id - field_.n - 1;
        if (number >= 0 && number < field_.r) {
            const int64_t begin = starts_[number], end = starts_[number + 1];
            if (begin >= 0 && begin < end && end <= room_) words = words_of(id, members_ + begin, end - begin);
        }
        const uint64_t other = words ? 0 : mix(static_cast<uint64_t>(id), static_cast<uint64_t>(field_.seed));
        return [words, other](int64_t block) { return words ? words[block] : other; };
    }

  private:
    static constexpr int64_t kKept = 64;

    const uint64_t* words_of(int64_t id, const int32_t* members, int64_t count) {
        const size_t place = static_cast<size_t>(id % kKept);
        uint64_t* words = kept_.data() + place * static_cast<size_t>(parts_);
        if (ids_[place] == id) return words;
        least_.resize(static_cast<size_t>(parts_ * field_.s));
        least_hashes(members, count, static_cast<uint64_t>(field_.t), parts_ * field_.s, least_.data());
        for (int64_t block = 0; block < parts_; ++block) {
            uint64_t word = 0;
            for (int64_t j = 0; j < field_.s; ++j)
                word = mix(word ^ static_cast<uint64_t>(least_[static_cast<size_t>(block * field_.s + j)]), static_cast<uint64_t>(j));
            words[block] = word;
        }
        ids_[place] = id;
        return words;
    }

    const Field& field_;
    const int32_t* starts_;
    const int32_t* members_;
    int64_t room_, parts_;
    std::array<int64_t, kKept> ids_;
    std::vector<uint64_t> kept_;
    std::vector<int64_t> least_;
};

}  // namespace pocketrec
