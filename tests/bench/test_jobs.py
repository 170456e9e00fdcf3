"""Processes of cells."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pocketrec.bench import jobs
from pocketrec.bench.cells import Cell, CellMaker
from pocketrec.bench.jobs import Job
from pocketrec.bench.study import read_study

IDENTITY = {"commit": "3f1c"}


@pytest.fixture
def cell(planted: Callable[..., Path], study_cache: Path) -> Cell:
    maker = CellMaker(study=read_study(planted()), folder=None, cache=study_cache)
    return maker.of_method(maker.study.data[0], maker.study.methods[0], "4x", 0)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where jobs keep what they keep."""
    folder = tmp_path / "kept"
    folder.mkdir()
    monkeypatch.setattr(jobs.tempfile, "tempdir", str(folder))
    return folder


def program(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Let jobs run this program in place of a cell; its only word is the job's folder."""
    original = subprocess.Popen

    def popen(words: list[str], **how: object) -> subprocess.Popen[bytes]:
        assert words[:3] == [sys.executable, "-m", "pocketrec.bench.cell_process"]
        return original([sys.executable, "-c", text, words[3]], **how)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(jobs.subprocess, "Popen", popen)


def test_a_job_prepares_the_data_in_a_process_of_its_own(cell: Cell, study_cache: Path, kept: Path) -> None:
    job = Job(cell, study_cache, IDENTITY, prepare=True)
    assert job.pid != os.getpid()
    assert job.wait().failed is None
    assert Path(cell.config.data[0]).exists()
    assert list(kept.iterdir()) == [], "nothing is left"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "ended by SIGKILL (by the system, where memory"),
        ("raise TypeError('a bug')", "ended with code 1: TypeError: a bug"),
        ("", "ended with code 0"),
        ("import sys; open(sys.argv[1] + '/outcome.json', 'w').write('{\"line')", "ended with code 0"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended by SIGSEGV"),
    ],
)
def test_a_process_that_dies_is_a_failure_with_its_reason(
    text: str, message: str, cell: Cell, study_cache: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(monkeypatch, text)
    outcome = Job(cell, study_cache, IDENTITY).wait()
    assert outcome.failed is not None
    assert message in outcome.failed
    assert list(kept.iterdir()) == []


def test_a_job_has_one_thread_and_can_be_killed(
    cell: Cell, study_cache: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(monkeypatch, "import os, sys; print(os.environ['OMP_NUM_THREADS'], flush=True); sys.stdin.read()")
    job = Job(cell, study_cache, IDENTITY)
    (log,) = kept.glob("*/log.txt")
    while not log.read_text():
        assert job.outcome() is None
        time.sleep(0.01)
    assert log.read_text() == "1\n"
    job.kill()
    assert list(kept.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(job.pid, 0)


def test_a_cell_ends_when_its_runner_does(cell: Cell, study_cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    os.mkfifo(folder / "job.json")  # nobody fills it, so the cell waits
    process = subprocess.Popen(
        [sys.executable, "-m", "pocketrec.bench.cell_process", str(folder)], stdin=subprocess.PIPE
    )
    assert process.stdin is not None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.stdin.close()
    assert process.wait(60) == 1
