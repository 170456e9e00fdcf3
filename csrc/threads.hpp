#pragma once

#include <cstdint>
#include <functional>

namespace pocketrec {

// Calls body(0) to body(parts - 1), each once, and returns when all have ended.
inline void run_parts(int64_t parts, const std::function<void(int64_t part)>& body) {
    for (int64_t part = 0; part < parts; ++part) body(part);
}

}  // namespace pocketrec
