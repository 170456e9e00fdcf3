// Tests of csrc/threads.cpp. tests/native/test_threads.py builds them as a library and calls run_test from a Python
// process, one test each. Under a sanitizer, all of them as a program:
//   g++ -std=c++17 -g -O1 -fsanitize=thread -Icsrc csrc/tests/threads_test.cpp csrc/threads.cpp -pthread -o t && ./t
// (and with -fsanitize=address,undefined).
#include "threads.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#if defined(__SANITIZE_THREAD__)
constexpr bool thread_sanitized = true, sanitized = true;
#elif defined(__SANITIZE_ADDRESS__)
constexpr bool thread_sanitized = false, sanitized = true;
#else
constexpr bool thread_sanitized = false, sanitized = false;
#endif

namespace {

using pocketrec::run_parts;
using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds LONG{60};  // nothing takes so long on any machine

#define CHECK(condition)                                                                      \
    do {                                                                                      \
        if (!(condition)) {                                                                   \
            std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);    \
            std::_Exit(1);                                                                    \
        }                                                                                     \
    } while (0)

// Lets nobody go on before `count` threads have come, so parts that meet here ran at the same time.
class Meeting {
  public:
    explicit Meeting(int64_t count) : missing_(count) {}
    bool come() {
        std::unique_lock<std::mutex> lock(mutex_);
        if (--missing_ <= 0) changed_.notify_all();
        return changed_.wait_for(lock, LONG, [this] { return missing_ <= 0; });
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int64_t missing_;
};

int64_t workers() {
    int64_t count = 0;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        std::string name;
        std::ifstream(task.path() / "comm") >> name;
        count += name == "pocketrec";
    }
    return count;
}

// Runs `test` in a forked child; whether it ended well.
template <class Test>
bool in_child(Test test) {
    const pid_t child = fork();
    if (child == 0) {
        alarm(static_cast<unsigned>(LONG.count()));  // of a child that hangs, the parent hears
        test();
        std::_Exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void all_meet(int64_t parts) {
    Meeting meeting(parts);
    run_parts(parts, [&](int64_t) { CHECK(meeting.come()); });
}

int64_t sum(int64_t parts) {
    std::vector<int64_t> seen(static_cast<size_t>(parts));
    run_parts(parts, [&](int64_t part) { seen[static_cast<size_t>(part)] += part; });
    int64_t total = 0;
    for (int64_t number : seen) total += number;
    return total;
}

void every_part_runs_once() {
    for (int64_t parts : {0, 1, 2, 3, 7, 64, 256, 257, 1000}) {
        std::vector<std::atomic<int>> times(static_cast<size_t>(parts));
        run_parts(parts, [&](int64_t part) { ++times.at(static_cast<size_t>(part)); });
        for (const auto& count : times) CHECK(count == 1);
    }
    run_parts(-1, [](int64_t) { CHECK(false); });
}

void one_part_runs_in_the_caller() {
    const auto caller = std::this_thread::get_id();
    run_parts(1, [&](int64_t) { CHECK(std::this_thread::get_id() == caller); });
    run_parts(0, [](int64_t) { CHECK(false); });
    CHECK(workers() == 0);
}

void parts_run_at_the_same_time() {
    all_meet(2);
    all_meet(5);
    all_meet(3);
    if (!sanitized) CHECK(workers() == 4);
}

void there_are_at_most_256_threads() {
    std::mutex mutex;
    std::set<std::thread::id> threads;
    all_meet(256);
    run_parts(2000, [&](int64_t) {
        const std::lock_guard<std::mutex> lock(mutex);
        threads.insert(std::this_thread::get_id());
    });
    CHECK(threads.size() <= 256);
    if (!sanitized) CHECK(workers() == 255);
}

void a_call_may_ask_for_fewer_threads_than_parts() {
    std::mutex mutex;
    std::set<std::thread::id> threads;
    const auto note = [&](int64_t) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        const std::lock_guard<std::mutex> lock(mutex);
        threads.insert(std::this_thread::get_id());
    };
    run_parts(40, note, 3);
    CHECK(threads.size() <= 3);
    threads.clear();
    run_parts(40, note, 1);
    CHECK(threads == std::set<std::thread::id>{std::this_thread::get_id()});
}

// One part ends only when all others have ended: whoever is in it, the other threads take the rest.
void a_late_worker_delays_its_own_part_only() {
    std::atomic<int64_t> done{0};
    run_parts(40, [&](int64_t part) {
        const auto until = Clock::now() + LONG;
        if (part == 1)
            while (done < 39 && Clock::now() < until) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        ++done;
    });
    CHECK(done == 40);
}

void a_call_inside_a_part_runs_in_that_thread() {
    Meeting meeting(3);
    run_parts(3, [&](int64_t) {
        const auto thread = std::this_thread::get_id();
        CHECK(meeting.come());  // so that workers are among those who call
        int64_t expected = 0;
        run_parts(5, [&](int64_t part) {
            CHECK(std::this_thread::get_id() == thread);
            CHECK(part == expected++);
        });
        CHECK(expected == 5);
    });
}

void callers_do_not_wait_for_each_other() {
    run_parts(3, [&](int64_t part) {
        if (part != 0) return;
        std::thread other([] { CHECK(sum(10) == 45); });  // the pool is taken until this part ends
        other.join();
    });
}

void many_callers_get_their_own_results() {
    std::vector<std::thread> callers;
    for (int64_t caller = 0; caller < 6; ++caller)
        callers.emplace_back([caller] {
            for (int64_t i = 0; i < 300; ++i) {
                const int64_t parts = 1 + (i + caller) % 9;
                CHECK(sum(parts) == parts * (parts - 1) / 2);
            }
        });
    for (auto& caller : callers) caller.join();
}

template <class Call>
std::string message_of(Call call) {
    try {
        call();
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return "none";
}

void the_lowest_failing_part_is_told() {
    std::atomic<int64_t> ended{0};
    const auto fails = [&] {
        run_parts(20, [&](int64_t part) {
            ++ended;
            if (part % 7 == 3) throw std::runtime_error("part " + std::to_string(part));
        });
    };
    for (int64_t i = 1; i <= 50; ++i) {
        CHECK(message_of(fails) == "part 3");
        CHECK(ended == 20 * i);
    }
    run_parts(2, [&](int64_t) { CHECK(message_of(fails) == "part 3"); });  // in one thread too
    CHECK(message_of([] { run_parts(1, [](int64_t) { throw std::runtime_error("alone"); }); }) == "alone");
    all_meet(4);  // the pool is as it was
}

void a_forked_child_starts_workers_of_its_own() {
    if (thread_sanitized) return;  // that sanitizer takes no threads after a fork
    all_meet(4);
    CHECK(in_child([] {
        if (!sanitized) CHECK(workers() == 0);
        all_meet(3);
        CHECK(sum(3) == 3);
        CHECK(in_child([] { all_meet(2); }));
    }));
    all_meet(4);
}

void a_child_forked_during_a_call_works() {
    if (sanitized) return;  // their allocators do not let go of their own locks in a child
    std::atomic<bool> stop{false};
    std::thread busy([&] {
        while (!stop) sum(4);
    });
    for (int i = 0; i < 20; ++i) CHECK(in_child([] { all_meet(3); }));
    stop = true;
    busy.join();
}

void an_idle_pool_takes_no_time() {
    all_meet(16);
    const auto spent = [] {
        timespec now{};
        CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0);
        return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
    };
    const double before = spent();
    std::this_thread::sleep_for(std::chrono::milliseconds(400));
    const double used = spent() - before;
    std::fprintf(stderr, "used %.6f s\n", used);
    CHECK(used < 0.02);  // one spinning thread would take .4
}

void without_new_threads_the_caller_does_all() {
    if (sanitized) return;  // they map more memory than a limit lets them
    CHECK(in_child([] {
        all_meet(2);
        long pages = 0;
        std::ifstream("/proc/self/statm") >> pages;
        // room for small things, not for a thread's stack
        const rlim_t limit = static_cast<rlim_t>(pages * sysconf(_SC_PAGESIZE)) + (1 << 20);
        const rlimit limits{limit, limit};
        CHECK(setrlimit(RLIMIT_AS, &limits) == 0);
        CHECK(sum(50) == 1225);
        CHECK(workers() == 1);
    }));
}

struct Test {
    const char* name;
    void (*run)();
};

#define TEST(name) {#name, name}
const Test TESTS[] = {
    TEST(one_part_runs_in_the_caller),  // first: no workers yet
    TEST(every_part_runs_once),
    TEST(parts_run_at_the_same_time),
    TEST(there_are_at_most_256_threads),
    TEST(a_call_may_ask_for_fewer_threads_than_parts),
    TEST(a_late_worker_delays_its_own_part_only),
    TEST(a_call_inside_a_part_runs_in_that_thread),
    TEST(callers_do_not_wait_for_each_other),
    TEST(many_callers_get_their_own_results),
    TEST(the_lowest_failing_part_is_told),
    TEST(a_forked_child_starts_workers_of_its_own),
    TEST(a_child_forked_during_a_call_works),
    TEST(an_idle_pool_takes_no_time),
    TEST(without_new_threads_the_caller_does_all),
};

}  // namespace

// 0 when it went well, 2 when there is no test of that name; a test that fails ends the process.
extern "C" int run_test(const char* name) {
    for (const Test& test : TESTS)
        if (!std::strcmp(test.name, name)) {
            test.run();
            return 0;
        }
    return 2;
}

// Runs parts without end, for a program that leaves meanwhile.
extern "C" void run_for_ever() {
    for (;;) sum(8);
}

extern "C" int64_t run_sum(int64_t parts) {
    return sum(parts);
}

int main() {
    for (const Test& test : TESTS) {
        std::fprintf(stderr, "%s\n", test.name);
        // a process each, as under Python: what a test finds does not depend on the one before
        if (!in_child([&] {
                test.run();
                std::exit(0);  // the sanitizer's last checks
            }))
            return 1;
    }
    std::fprintf(stderr, "all well\n");
}
