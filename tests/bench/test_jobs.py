"""Processes of cells."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pocketrec.bench import jobs
from pocketrec.bench.cells import Cell, CellMaker
from pocketrec.bench.jobs import CellServer, Job
from pocketrec.bench.study import read_study
from pocketrec.spec.errors import TrainingError

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


@pytest.fixture
def serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], CellServer]]:
    """``serving(text)``: a server whose jobs run this body in place of a cell's; `folder` is the job's folder."""
    begun: list[CellServer] = []

    def serve(text: str) -> CellServer:
        lines = "".join(f"    {line}\n" for line in text.splitlines())
        (tmp_path / "made_up.py").write_text(f"import os, signal, sys, time\ndef main(folder):\n{lines}    return\n")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        begun.append(CellServer("made_up"))
        return begun[-1]

    yield serve
    for server in begun:
        server.close()


def test_a_job_prepares_the_data_in_a_process_of_its_own(cell: Cell, study_cache: Path, kept: Path) -> None:
    job = Job(cell, study_cache, IDENTITY, prepare=True)
    assert job.pid != os.getpid()
    assert job.wait().failed is None
    assert Path(cell.config.data[0]).exists()
    assert list(kept.iterdir()) == [], "nothing is left"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "ended by SIGKILL (by the system, where memory"),
        ("raise TypeError('a bug')", "ended with code 1: TypeError: a bug"),
        ("", "ended with code 0"),
        ("(folder / 'outcome.json').write_text('{\"line')", "ended with code 0"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "ended by SIGSEGV"),
        ("os.kill(os.getppid(), signal.SIGKILL); time.sleep(60)", "ended by SIGKILL"),
    ],
)
def test_a_process_that_dies_is_a_failure_with_its_reason(
    text: str, message: str, cell: Cell, study_cache: Path, kept: Path, serving: Callable[[str], CellServer]
) -> None:
    outcome = Job(cell, study_cache, IDENTITY, server=serving(text)).wait()
    assert outcome.failed is not None
    assert message in outcome.failed
    assert list(kept.iterdir()) == []


def test_jobs_run_side_by_side_each_in_its_own_process(
    cell: Cell, study_cache: Path, kept: Path, serving: Callable[[str], CellServer]
) -> None:
    server = serving("print(os.getpid(), os.getcwd(), flush=True)\nwhile not (folder / 'go').exists(): time.sleep(.01)")
    jobs = [Job(cell, study_cache, IDENTITY, server=server) for _ in range(3)]
    assert len({job.pid for job in jobs}) == 3
    assert all(job.outcome() is None for job in jobs)
    for path in kept.iterdir():
        (path / "go").touch()
    assert ["ended with code 0" in str(job.wait().failed) for job in reversed(jobs)] == [True] * 3
    for job in jobs:
        with pytest.raises(ProcessLookupError):
            os.kill(job.pid, 0)


def test_a_job_has_one_thread_and_can_be_killed(
    cell: Cell, study_cache: Path, kept: Path, serving: Callable[[str], CellServer]
) -> None:
    server = serving("print(os.environ['OMP_NUM_THREADS'], flush=True)\ntime.sleep(60)")
    job = Job(cell, study_cache, IDENTITY, server=server)
    (log,) = kept.glob("*/log.txt")
    while not log.read_text():
        assert job.outcome() is None
        time.sleep(0.01)
    assert log.read_text() == "1\n"
    job.kill()
    assert list(kept.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(job.pid, 0)
    other = Job(cell, study_cache, IDENTITY, server=server)  # the server goes on
    assert other.outcome() is None
    other.kill()
    other.kill()


def test_a_server_that_is_gone_is_said(cell: Cell, study_cache: Path, kept: Path, serving: Any) -> None:
    server = serving("os.kill(os.getppid(), signal.SIGKILL); time.sleep(60)")
    assert Job(cell, study_cache, IDENTITY, server=server).wait().failed
    assert not server.alive
    with pytest.raises(TrainingError, match="process that cells come from has ended"):
        Job(cell, study_cache, IDENTITY, server=server)
    assert list(kept.iterdir()) == []
