from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from pocketrec.native.threads import MOST_THREADS, set_threads, threads, use_threads
from pocketrec.spec.errors import OptionError

CSRC = Path(__file__).resolve().parents[2] / "csrc"
TESTS = re.findall(r"^    TEST\((\w+)\)", (CSRC / "tests" / "threads_test.cpp").read_text(), flags=re.MULTILINE)


# ---------------------------------------------------------------- the number


def test_by_default_there_are_as_many_as_torch_has(monkeypatch: pytest.MonkeyPatch) -> None:
    assert threads() == torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert threads() == 3
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1000)
    assert threads() == MOST_THREADS


def test_a_number_of_our_own_stays_until_the_default_is_asked_for() -> None:
    with use_threads(None):
        set_threads(5)
        assert threads() == 5
        set_threads(None)
        assert threads() == torch.get_num_threads()


def test_a_number_for_a_while() -> None:
    with use_threads(2):
        with use_threads(3):
            assert threads() == 3
        with pytest.raises(ZeroDivisionError), use_threads(3):
            raise ZeroDivisionError
        assert threads() == 2
        with use_threads(None):
            assert threads() == torch.get_num_threads()
        assert threads() == 2
    assert threads() == torch.get_num_threads()


@pytest.mark.parametrize("count", [0, -1, 257, True, False, 2.0, "2"])
def test_other_numbers_are_refused_and_change_nothing(count: Any) -> None:
    with use_threads(2):
        with pytest.raises(OptionError, match=re.escape(f"of 1 to 256, or None for as many as torch, got {count!r}.")):
            set_threads(count)
        assert threads() == 2


def test_the_ends_of_the_range_are_taken() -> None:
    for count in (1, 256):
        with use_threads(count):
            assert threads() == count


def test_the_header_carries_the_same_limit() -> None:
    assert f"MOST_THREADS = {MOST_THREADS};" in (CSRC / "threads.hpp").read_text()


# ---------------------------------------------------------------- the pool: csrc/tests/threads_test.cpp


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pool and its tests, built as a library."""
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("the pool's tests need a C++ compiler, and there is none")
    if not sys.platform.startswith("linux"):
        pytest.skip("the pool's tests read /proc, which only Linux has")
    made = tmp_path_factory.mktemp("threads") / "threads_test.so"
    sources = [CSRC / "tests" / "threads_test.cpp", CSRC / "threads.cpp"]
    flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-shared", "-fPIC", "-pthread"]
    subprocess.run([*compiler.split(), *flags, f"-I{CSRC}", *map(str, sources), "-o", str(made)], check=True)
    return made


def run(library: Path, program: str) -> subprocess.CompletedProcess[str]:
    """A fresh Python that runs the program with the library as `pool`."""
    head = f"import ctypes, os, sys, threading, time; pool = ctypes.CDLL({str(library)!r})\n"
    return subprocess.run([sys.executable, "-c", head + program], capture_output=True, text=True, timeout=120)


def test_the_tests_are_found() -> None:
    assert len(TESTS) == 14


@pytest.mark.parametrize("name", TESTS)
def test_the_pool(library: Path, name: str) -> None:
    done = run(library, f"sys.exit(pool.run_test({name.encode()!r}))")
    assert done.returncode == 0, done.stderr


def test_a_test_of_the_pool_that_is_not_there_is_noticed(library: Path) -> None:
    assert run(library, "sys.exit(pool.run_test(b'no_such_test'))").returncode == 2


def test_python_leaves_while_workers_sleep(library: Path) -> None:
    done = run(library, "assert pool.run_sum(8) == 28; print('done')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_python_leaves_while_workers_work(library: Path) -> None:
    program = "threading.Thread(target=pool.run_for_ever, daemon=True).start(); time.sleep(0.1); print('done')"
    done = run(library, program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_python_threads_and_forks_use_the_pool(library: Path) -> None:
    program = """
found = []
def call():
    found.extend(pool.run_sum(n) == n * (n - 1) // 2 for n in range(1, 200))
callers = [threading.Thread(target=call) for _ in range(4)]
for caller in callers: caller.start()
child = os.fork()
if child == 0:
    os._exit(0 if all(pool.run_sum(8) == 28 for _ in range(100)) else 1)
for caller in callers: caller.join()
assert found == [True] * 4 * 199
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = run(library, program)
    assert done.returncode == 0, done.stderr


def test_signals_go_to_python_and_not_to_a_worker(library: Path) -> None:
    program = """
import signal
def status(task):
    return dict(line.split(":", 1) for line in open(f"/proc/self/task/{task}/status"))
assert pool.run_sum(8) == 28
workers = set(os.listdir("/proc/self/task")) - {str(os.getpid())}
for task in workers:
    while status(task)["Name"].strip() != "pocketrec":  # it is being started
        time.sleep(0.01)
for task in (str(os.getpid()), *workers):
    blocked = int(status(task)["SigBlk"], 16)
    assert bool(blocked >> signal.SIGINT - 1 & 1) == (task in workers), hex(blocked)
    assert not blocked >> signal.SIGSEGV - 1 & 1
print(len(workers))
"""
    done = run(library, program)
    assert (done.returncode, done.stdout) == (0, "7\n"), done.stderr
