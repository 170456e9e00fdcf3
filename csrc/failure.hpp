// Errors inside the kernels: thrown as Failure, turned into a status at the border to C.
#pragma once

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <new>

#include "pocketrec.h"

namespace pocketrec {

struct Failure : std::exception {
    pr_status status;
    pr_error error{};

    explicit Failure(pr_status status) : status(status) {}
    const char* what() const noexcept override { return error.message; }
};

[[noreturn, gnu::format(printf, 2, 3), gnu::cold]] inline void fail(pr_status status, const char* format, ...) {
    Failure failure(status);
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(failure.error.message, sizeof failure.error.message, format, arguments);
    va_end(arguments);
    throw failure;
}

// Runs `body`; no exception crosses the border to C.
template <class Body>
int guarded(pr_error* error, Body body) noexcept {
    error->message[0] = '\0';
    try {
        body();
        return PR_OK;
    } catch (const Failure& failure) {
        *error = failure.error;
        return failure.status;
    } catch (const std::bad_alloc&) {
        std::snprintf(error->message, sizeof error->message, "out of memory");
        return PR_MEMORY_ERROR;
    }
}

// For messages: printf has no portable format of int64_t but this.
inline long long say(int64_t number) {
    return static_cast<long long>(number);
}

}  // namespace pocketrec
