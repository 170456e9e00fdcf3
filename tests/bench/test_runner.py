"""The runner of studies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pocketrec.bench import runner
from pocketrec.bench.cells import Cell
from pocketrec.bench.jobs import Job, Outcome
from pocketrec.bench.memory import Need
from pocketrec.bench.runner import Runner, Settings
from pocketrec.bench.study import read_study
from pocketrec.spec.errors import OptionError, TrainingError
from pocketrec.spec.result import Result, read_results

GIB = 1 << 30


class FakeJob:
    """A cell that ends when it is told to; who runs with whom is written down."""

    together: list[int]
    started: list[Cell]
    running: int
    outcomes: dict[str, Outcome]

    def __init__(self, cell: Cell, cache: Path, identity: dict[str, Any], **how: Any) -> None:
        self.cell, self.identity, self.prepare = cell, identity, how.get("prepare", False)
        self.polls = 0
        if not self.prepare:
            FakeJob.started.append(cell)
            FakeJob.running += 1
            FakeJob.together.append(FakeJob.running)

    def outcome(self) -> Outcome | None:
        self.polls += 1
        if self.polls < 2:
            return None
        FakeJob.running -= 1
        failed = FakeJob.outcomes.get(self.cell.config.method)
        if failed is not None:
            return failed
        line = self.cell.not_run("x", self.identity)
        return Outcome(line=replace(line, skipped=None, options={}, tuned={}).to_json_line())

    def wait(self) -> Outcome:
        return FakeJob.outcomes.get("prepare", Outcome())

    def kill(self) -> None:
        FakeJob.running -= 1


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeJob]:
    """Jobs that do nothing, and needs of 1 GiB each, or what the study's dim says."""
    FakeJob.together, FakeJob.started, FakeJob.running, FakeJob.outcomes = [], [], 0, {}
    monkeypatch.setattr(
        runner, "need_of",
        lambda cell, cache: Need(bytes=cell.config.dim * GIB, budget_bytes=7, refusal=cell.refusal),
    )  # fmt: skip
    monkeypatch.setattr(runner, "_WAIT_S", 0.0)
    return FakeJob


def settings(folder: Path, **changes: Any) -> Settings:
    plain = {
        "data": None, "out": folder / "results", "cache": folder / "cache", "jobs": 2, "memory_bytes": 16 * GIB,
        "identity": {"commit": "3f1c", "command": "pocketrec bench s.toml"},
    }  # fmt: skip
    return Settings(**(plain | changes))


def lines(folder: Path, name: str = "s") -> list[Result]:
    return list(read_results(folder / "results" / f"{name}.jsonl"))


# ---------------------------------------------------------------- which cells, side by side


def test_every_cell_runs_once_and_a_second_run_runs_none(
    planted: Callable[..., Path], fake: type[FakeJob], tmp_path: Path
) -> None:
    study = read_study(planted())
    assert Runner(study, settings(tmp_path), start=fake).run() == tmp_path / "results" / "s.jsonl"
    found = [(r.method, r.seed) for r in lines(tmp_path)]
    assert sorted(found) == [("hash_rows", 0), ("hash_rows", 1), ("min_count", 0), ("min_count", 1)]
    assert max(fake.together) == 2
    assert {r.commit for r in lines(tmp_path)} == {"3f1c"}
    Runner(study, settings(tmp_path), start=fake).run()
    assert (len(lines(tmp_path)), len(fake.started)) == (4, 4)


@pytest.mark.parametrize(("memory", "at_once"), [(16, 4), (3, 3), (1, 1)])
def test_as_many_run_as_the_memory_holds(
    memory: int, at_once: int, planted: Callable[..., Path], fake: type[FakeJob], tmp_path: Path
) -> None:
    study = read_study(planted(dim="1"))
    Runner(study, settings(tmp_path, jobs=9, memory_bytes=memory * GIB), start=fake).run()
    assert max(fake.together) == at_once
    assert len(lines(tmp_path)) == 4


def test_a_cell_that_does_not_fit_alone_is_a_line_and_runs_where_it_fits(
    planted: Callable[..., Path], fake: type[FakeJob], tmp_path: Path
) -> None:
    study = read_study(planted(seeds="[0]", methods='["min_count", { name = "hash_rows", dim = 40 }]'))
    Runner(study, settings(tmp_path), start=fake).run()
    small, large = sorted(lines(tmp_path), key=lambda r: r.failed)
    assert (small.skipped, large.failed, large.budget_bytes) == (None, True, 7)
    assert large.skipped is not None
    assert f"need about {40 * GIB:,} bytes" in large.skipped
    assert "Raise --memory" in large.skipped
    Runner(study, settings(tmp_path, memory_bytes=64 * GIB, retry=True), start=fake).run()
    assert [r.failed for r in lines(tmp_path)].count(False) == 2


def test_a_cell_that_dies_is_a_line_with_its_reason_and_runs_again_when_asked_to(
    planted: Callable[..., Path], fake: type[FakeJob], tmp_path: Path
) -> None:
    study = read_study(planted(seeds="[0]"))
    fake.outcomes = {"hash_rows": Outcome(failed="ended by SIGKILL"), "min_count": Outcome(refused="floor")}
    Runner(study, settings(tmp_path), start=fake).run()
    by_method = {r.method: r for r in lines(tmp_path)}
    assert (by_method["hash_rows"].skipped, by_method["hash_rows"].failed) == ("ended by SIGKILL", True)
    assert (by_method["min_count"].skipped, by_method["min_count"].failed) == ("floor", False)
    Runner(study, settings(tmp_path), start=fake).run()
    assert len(fake.started) == 2, "without --retry nothing runs again"
    fake.outcomes = {}
    Runner(study, settings(tmp_path, retry=True), start=fake).run()
    assert [c.config.method for c in fake.started[2:]] == ["hash_rows"], "a refusal is final"
    Runner(study, settings(tmp_path, retry=True), start=fake).run()
    assert len(fake.started) == 3, "it went well"


def test_a_need_that_cannot_be_reckoned_is_left_to_the_cell(
    planted: Callable[..., Path], fake: type[FakeJob], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(cell: Cell, cache: Path) -> Need:
        raise ZeroDivisionError

    monkeypatch.setattr(runner, "need_of", broken)
    fake.outcomes = {"hash_rows": Outcome(failed="ZeroDivisionError"), "min_count": Outcome(failed="it, too")}
    Runner(read_study(planted(seeds="[0]")), settings(tmp_path), start=fake).run()
    assert {(r.method, r.skipped, r.failed) for r in lines(tmp_path)} == {
        ("hash_rows", "ZeroDivisionError", True), ("min_count", "it, too", True),
    }  # fmt: skip


def test_refused_cells_need_no_process(planted: Callable[..., Path], fake: type[FakeJob], tmp_path: Path) -> None:
    methods = '[{ name = "min_count", storages = ["int8", "int3"] }]'
    Runner(read_study(planted(methods=methods)), settings(tmp_path), start=fake).run()
    assert {c.storage for c in fake.started} == {"int8"}
    refused = [r for r in lines(tmp_path) if r.skipped]
    assert [(r.storage, r.failed) for r in refused] == [("int3", False)] * 2


def test_progress_is_told(planted: Callable[..., Path], fake: type[FakeJob], tmp_path: Path) -> None:
    told: list[tuple[str, int, int, int]] = []

    class Watch:
        def preparing(self, data: str) -> None:
            told.append((data, 0, 0, 0))

        def started(self, cell: Cell, need: Need, tally: Any) -> None:
            told.append(("started", tally.done, tally.running, tally.total))

        def ended(self, cell: Cell, line: Result, tally: Any) -> None:
            told.append(("ended", tally.done, tally.running, tally.total))

    Runner(read_study(planted(seeds="[0]")), settings(tmp_path, jobs=1), Watch(), start=fake).run()
    assert told == [
        ("made", 0, 0, 0), ("started", 0, 1, 2), ("ended", 1, 0, 2), ("started", 1, 1, 2), ("ended", 2, 0, 2),
    ]  # fmt: skip


def test_what_is_wrong_is_said_before_anything_runs(
    planted: Callable[..., Path], fake: type[FakeJob], tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match=r"--jobs must be 1 or more, got 0"):
        settings(tmp_path, jobs=0)
    with pytest.raises(OptionError, match="No method called 'rbe'"):
        Runner(read_study(planted(methods='["min_count", "rbe"]')), settings(tmp_path), start=fake)
    fake.outcomes = {"prepare": Outcome(failed="row 3 is bad")}
    with pytest.raises(TrainingError, match=r"made could not be prepared: row 3 is bad"):
        Runner(read_study(planted()), settings(tmp_path), start=fake).run()
    assert fake.started == []


def test_an_interrupted_runner_ends_its_cells(
    planted: Callable[..., Path], fake: type[FakeJob], tmp_path: Path
) -> None:
    class Watch(runner.WatchingNothing):
        def started(self, cell: Cell, need: Need, tally: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Runner(read_study(planted()), settings(tmp_path), Watch(), start=fake).run()
    assert fake.running == 0
    assert not (tmp_path / "results" / "s.jsonl").exists()


# ---------------------------------------------------------------- with real cells


@pytest.mark.slow
def test_trials_cells_and_further_seeds_with_real_cells(
    planted: Callable[..., Path], study_cache: Path, tmp_path: Path
) -> None:
    tuned = '[tuning]\nat = "4x"\ntrials = 2\n[tuning.space]\n"optimizer.lr" = { low = 0.01, high = 0.2, log = true }\n'
    study = read_study(planted(tuned + "[final]\nbest = 1\nseeds = [0, 1]\n", seeds="[0]"))
    Runner(study, settings(tmp_path, cache=study_cache), start=Job).run()
    trials, found = lines(tmp_path, "s_tuning"), lines(tmp_path)
    assert [r.skipped for r in [*trials, *found]] == [None] * 7
    assert [r.test for r in trials] == [None] * 4
    assert all(r.validation is not None and r.test is not None for r in [*found])
    for r in found:
        best = max((t for t in trials if t.method == r.method), key=lambda t: t.validation.auc)  # type: ignore[union-attr,arg-type,return-value]
        assert r.tuned == best.tuned
        assert r.promised_bytes == r.held_bytes == r.file_bytes
    assert sorted(r.seed for r in found) == [0, 0, 1]


@pytest.mark.slow
def test_a_cell_of_several_methods_runs_once(planted: Callable[..., Path], study_cache: Path, tmp_path: Path) -> None:
    parts = (
        '[{ tables = ["C1"], method = "hash_rows", bytes = 200 }, { tables = ["C2"], method = "robe", bytes = 200 }]'
    )
    cell = f'[[cells]]\nmethod = "mixed"\nbudget = "1x"\n"options.parts" = {parts}\n'
    study = read_study(planted(cell, methods="[]", seeds="[0]"))
    Runner(study, settings(tmp_path, cache=study_cache), start=Job).run()
    (line,) = lines(tmp_path)
    assert (line.method, line.skipped, line.failed) == ("mixed", None, False)
    assert line.promised_bytes == line.held_bytes == line.file_bytes


def bench(study: Path, cache: Path, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "from pocketrec.cli import main; main()", "bench", study.name, "--cache",
               str(cache), "--memory", "4GiB", *words]  # fmt: skip
    return subprocess.Popen(
        command, cwd=study.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def children(pid: int) -> list[int]:
    """Processes that this one started; zombies are among them."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(child) for child in task.read_text().split()]
    return found


def gone(pid: int, within_s: float = 60) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc, to find the runner's cells")
def test_a_killed_runner_loses_only_the_cells_that_ran(
    planted: Callable[..., Path], study_cache: Path, tmp_path: Path
) -> None:
    study, results = planted(), tmp_path / "results" / "s.jsonl"
    first = bench(study, study_cache, "--jobs", "1")
    while not results.exists() or not results.read_bytes().endswith(b"\n"):
        assert first.poll() is None
        time.sleep(0.02)
    while not (cells := children(first.pid)):  # the second cell
        assert first.poll() is None
        time.sleep(0.02)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert all(gone(pid) for pid in cells), "a cell outlived its runner"
    kept = results.read_bytes()
    had = len(read_results(results))
    assert 1 <= had < 4
    assert bench(study, study_cache, "--jobs", "2").wait() == 0
    assert results.read_bytes().startswith(kept)
    assert sorted((r.method, r.seed) for r in lines(tmp_path)) == [
        (m, s) for m in ("hash_rows", "min_count") for s in (0, 1)
    ]


@pytest.mark.slow
def test_two_runners_share_a_study(planted: Callable[..., Path], study_cache: Path, tmp_path: Path) -> None:
    study = planted()
    both = [bench(study, study_cache, "--jobs", "1") for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    found = lines(tmp_path)
    assert sorted((r.method, r.seed) for r in found) == [(m, s) for m in ("hash_rows", "min_count") for s in (0, 1)]
    assert all(r.test is not None for r in found)
