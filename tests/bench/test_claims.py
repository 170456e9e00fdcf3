"""Cells that some runner is at work on."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from pocketrec.bench.cells import Key
from pocketrec.bench.claims import Claims

A: Key = ("d", "robe", "10x", 0, "", "", -1)
B: Key = ("d", "robe", "10x", 1, "", "", -1)

# POSIX locks are between processes
OTHER = """
import sys, time
from pathlib import Path
from pocketrec.bench.claims import Claims
claims = Claims(Path(sys.argv[1]))
print(claims.take(eval(sys.argv[2])), flush=True)
sys.stdin.read()
"""


def other(results: Path, key: Key) -> tuple[subprocess.Popen[str], str]:
    """A second runner, and whether it got the cell."""
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(results), repr(key)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def end(process: subprocess.Popen[str], how: int = signal.SIGKILL) -> None:
    process.send_signal(how)
    process.communicate()


def test_a_cell_is_one_runners_until_it_gives_it_back_or_is_killed(tmp_path: Path) -> None:
    results = tmp_path / "r.jsonl"
    ours = Claims(results)
    assert ours.take(A)
    second, got = other(results, A)
    end(second)
    assert got == "False"
    third, got = other(results, B)
    assert got == "True"
    assert not ours.take(B)
    end(third)
    assert ours.take(B), "the system gave it back when its runner was killed"
    ours.give_back(A)
    fourth, got = other(results, A)
    end(fourth)
    assert got == "True"
    ours.close()
    ours.close()


def test_its_file_is_hidden_and_empty(tmp_path: Path) -> None:
    claims = Claims(tmp_path / "r.jsonl")
    assert claims.take(A)
    assert [(p.name, p.stat().st_size) for p in tmp_path.iterdir()] == [(".r.jsonl.lock", 0)]
    claims.close()
