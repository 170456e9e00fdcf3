"""The process that cells come from, as a stranger would talk to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

MODULE = """
import os, time

ready = []

def warm_up():
    ready.append("told")

def main(folder):
    print(*ready, os.getcwd(), flush=True)
    if folder.name == "waits":
        time.sleep(60)
    if folder.name == "fails":
        raise ValueError("three")
"""


@pytest.fixture
def server(tmp_path: Path) -> subprocess.Popen[bytes]:
    (tmp_path / "told.py").write_text(MODULE)
    return subprocess.Popen(
        [sys.executable, "-m", "pocketrec.bench.cell_server", "told"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip


def ask(server: subprocess.Popen[bytes], *folders: Path) -> None:
    assert server.stdin is not None
    lines = [json.dumps({"folder": str(f), "cwd": str(f.parent)}) + "\n" for f in folders]
    for folder in folders:
        folder.mkdir()
    server.stdin.write("".join(lines).encode())
    server.stdin.flush()


def hear(server: subprocess.Popen[bytes]) -> list[object]:
    assert server.stdout is not None
    return json.loads(server.stdout.readline())  # type: ignore[no-any-return]


def test_it_says_what_began_and_how_it_ended(server: subprocess.Popen[bytes], tmp_path: Path) -> None:
    done, fails = tmp_path / "done", tmp_path / "fails"
    ask(server, done, fails)
    heard = [hear(server) for _ in range(4)]
    assert {(Path(str(f)).name, what) for f, what, _ in heard} == {  # type: ignore[misc]
        ("done", "began"), ("fails", "began"), ("done", "ended"), ("fails", "ended"),
    }  # fmt: skip
    assert {Path(str(f)).name: code for f, what, code in heard if what == "ended"} == {  # type: ignore[misc]
        "done": 0, "fails": 1,
    }  # fmt: skip
    assert (done / "log.txt").read_text() == f"told {tmp_path}\n"
    assert (fails / "log.txt").read_text().endswith("ValueError: three\n")
    server.communicate(timeout=60)
    assert server.returncode == 0


@pytest.mark.parametrize("killed", [False, True])
def test_no_cell_outlives_it(killed: bool, server: subprocess.Popen[bytes], tmp_path: Path) -> None:
    ask(server, tmp_path / "waits")
    _, _, pid = hear(server)
    while not (tmp_path / "waits" / "log.txt").exists() or not (tmp_path / "waits" / "log.txt").read_text():
        time.sleep(0.01)
    if killed:
        server.kill()
    server.communicate(timeout=60)
    for _ in range(1000):  # who reaps it when the server is gone is the system's affair
        if not Path(f"/proc/{pid}").exists() or " Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]:
            return
        time.sleep(0.01)
    pytest.fail("the cell still runs")
