// One pool of threads per process, which sleeps when there is no work and never spins.
//
// A spinning team answers some microseconds sooner, and costs the machine a core for it: measured on two cores with
// others at work, libgomp's spinning made a small matrix product ten times slower. Here a worker that the system has not
// woken yet is not waited for: the caller takes its part. So a call is late by at most the part that a worker is in.
#pragma once

#include <cstdint>
#include <functional>

namespace pocketrec {

// More threads than this are never used by one call.
constexpr int64_t MOST_THREADS = 256;

// More parts than threads make it less: a worker may take tens of microseconds to wake (seconds_to_wake of
// benchmarks/machine_limits.py measures it), in which the caller goes on with the next part. So a call's work is cut into this many parts per thread where parts cost nothing to begin.
constexpr int64_t PARTS_PER_THREAD = 4;

// Calls body(0) to body(parts - 1), each once, on up to `threads` threads of which the caller is one, and returns when all
// have ended. When some throw, the rest still run, and the exception of the lowest part is thrown on; so what a call
// does and reports does not depend on how many threads there are.
//
// `body` must be safe to call from several threads, and must not fork. With one part nothing is locked. While the pool
// works for one call, others run all their parts in their own thread, one after the other: those of other threads, and
// those from inside a body. Workers start when first asked for; when the system refuses to start one, there are fewer.
// A forked child begins with none.
void run_parts(int64_t parts, const std::function<void(int64_t part)>& body, int64_t threads = MOST_THREADS);

}  // namespace pocketrec
