#include "threads.hpp"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cfenv>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

namespace pocketrec {
namespace {

using Body = std::function<void(int64_t)>;

// One call of run_parts. It lies on the caller's stack; a worker may touch it between Pool::join and Pool::leave only.
class Job {
  public:
    Job(int64_t parts, const Body& body) : parts_(parts), body_(body) { std::fegetenv(&modes_); }

    // The same by a worker, which computes as the caller does: whether denormal numbers are zero, and how is rounded.
    void help() noexcept {
        std::fesetenv(&modes_);
        work();
    }

    // Runs parts that nobody has begun, until there are none.
    void work() noexcept {
        for (;;) {
            // Relaxed: a part is only a number; what it reads was published by the pool's mutex.
            const int64_t part = next_.fetch_add(1, std::memory_order_relaxed);
            if (part >= parts_) return;
            try {
                body_(part);
            } catch (...) {
                failed(part, std::current_exception());
            }
        }
    }

    void rethrow() const {
        if (failure_) std::rethrow_exception(failure_);
    }

  private:
    void failed(int64_t part, std::exception_ptr failure) noexcept {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (failure_ && failed_part_ < part) return;
        failed_part_ = part;
        failure_ = std::move(failure);
    }

    const int64_t parts_;
    const Body& body_;
    std::fenv_t modes_;
    std::atomic<int64_t> next_{0};
    std::mutex mutex_;
    int64_t failed_part_ = 0;
    std::exception_ptr failure_;
};

// Signals go to the threads of the program, where Python waits for them; those that tell of a fault of this very thread
// stay, or the process would die without a word of faulthandler.
class SignalsBlocked {
  public:
    SignalsBlocked() {
        sigset_t all;
        sigfillset(&all);
        for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) sigdelset(&all, fault);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

  private:
    sigset_t before_;
};

class Pool {
  public:
    // False when a job is running: another thread's, or the one whose part calls this.
    bool try_run(int64_t threads, Job& job) {
        if (busy_.exchange(true, std::memory_order_acquire)) return false;
        const int64_t helpers = offer(threads - 1, job);
        for (int64_t i = 0; i < helpers; ++i) wake_.notify_one();
        job.work();
        withdraw();
        busy_.store(false, std::memory_order_release);
        return true;
    }

  private:
    // Lets that many workers join the job, or as many as there are.
    int64_t offer(int64_t helpers, Job& job) {
        const std::lock_guard<std::mutex> lock(mutex_);
        helpers = std::min(helpers, grown_to(helpers));
        job_ = &job;
        seats_ = helpers;
        return helpers;
    }

    // After this no worker touches the job. A worker that was woken and has not come yet finds no seat and sleeps again.
    void withdraw() {
        std::unique_lock<std::mutex> lock(mutex_);
        seats_ = 0;
        idle_.wait(lock, [this] { return joined_ == 0; });
        job_ = nullptr;
    }

    int64_t grown_to(int64_t workers) {
        const SignalsBlocked inherited_by_workers;
        try {
            for (; workers_ < workers; ++workers_) std::thread([this] { serve(); }).detach();
        } catch (const std::system_error&) {
            // A limit on threads: go on with those that there are, and ask again the next time.
        } catch (const std::bad_alloc&) {
        }
        return workers_;
    }

    // What a worker does until the process ends. Nothing ever joins workers, so that leaving a program needs no order.
    [[noreturn]] void serve() {
#ifdef __linux__
        pthread_setname_np(pthread_self(), "pocketrec");
#endif
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            wake_.wait(lock, [this] { return seats_ > 0; });
            --seats_;
            ++joined_;
            Job& job = *job_;
            lock.unlock();
            job.help();
            lock.lock();
            if (--joined_ == 0) idle_.notify_one();
        }
    }

    std::atomic<bool> busy_{false};  // a caller is between offer and withdraw; no lock, for nobody ever waits for it
    std::mutex mutex_;               // of all below
    // Should the system lose a wake (glibc bug 25847), a worker sleeps through a job, no more. `idle_` has one waiter at a
    // time, which that bug does not touch.
    std::condition_variable wake_, idle_;
    Job* job_ = nullptr;
    int64_t workers_ = 0, seats_ = 0, joined_ = 0;
};

// The pool lies in memory that no destructor runs on, since workers sleep on its mutex until the last moment. A forked
// child gets a new one in its place: threads do not come with a fork, and the old locks may be held by one of them.
alignas(Pool) unsigned char memory[sizeof(Pool)];
Pool* pool = nullptr;

void make_pool() {
    pool = new (memory) Pool;
}

const bool made = [] {
    make_pool();
    return pthread_atfork(nullptr, nullptr, make_pool) == 0;
}();

}  // namespace

void run_parts(int64_t parts, const Body& body, int64_t threads) {
    if (parts <= 1) {
        if (parts == 1) body(0);
        return;
    }
    Job job(parts, body);
    const int64_t most = std::min({parts, threads, MOST_THREADS});
    if (most < 2 || !pool->try_run(most, job)) job.work();
    job.rethrow();
}

}  // namespace pocketrec
