"""Run a study: cells side by side, each in a process of its own, as many as the memory holds.

Every cell that ends leaves one line, at once. Whatever ends the runner, cells that have a line are never run again, and
those that ran are run anew by the next one. Several runners may share a study.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from pocketrec.bench.cells import Cell, CellMaker, Key, key_of
from pocketrec.bench.claims import Claims
from pocketrec.bench.hparams import check_tensorboard
from pocketrec.bench.jobs import Job, Outcome
from pocketrec.bench.lines import Lines
from pocketrec.bench.memory import Admission, Need, need_of
from pocketrec.bench.plan import Plan
from pocketrec.bench.study import Study
from pocketrec.bench.tuning import check_optuna
from pocketrec.spec.errors import OptionError, TrainingError
from pocketrec.spec.result import Result, append_result
from pocketrec.spec.writing import check_file, writing

__all__ = ["Runner", "Settings", "Tally", "Watching", "WatchingNothing", "results_file"]

_WAIT_S: Final = 0.05
# How often a runner with nothing to start looks for lines that others have written.
_LOOK_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a study is run.

    Attributes:
        data: folder (or file) that the study's paths are below, or None.
        out: folder of the results.
        cache: folder of encoded data.
        jobs: cells at a time, 1 or more.
        memory_bytes: what all of them together may need.
        retry: run cells anew whose line says that they failed.
        tensorboard: folder for events, or None.
        identity: fields of every line that only the caller knows (commit, command).
    """

    data: Path | None
    out: Path
    cache: Path
    jobs: int
    memory_bytes: int
    identity: Mapping[str, Any]
    retry: bool = False
    tensorboard: Path | None = None

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise OptionError(f"--jobs must be 1 or more, got {self.jobs}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How far a study is.

    Attributes:
        done: cells that have a line, trials included.
        running: cells that this runner runs.
        total: all cells, at most.
    """

    done: int
    running: int
    total: int


class Watching(Protocol):
    """Told how it goes."""

    def preparing(self, data: str) -> None:
        """A data set is encoded, if it is not in the cache."""
        ...

    def started(self, cell: Cell, need: Need, tally: Tally) -> None:
        """A cell began."""
        ...

    def ended(self, cell: Cell, line: Result, tally: Tally) -> None:
        """A cell has its line."""
        ...


class WatchingNothing:
    """Tells nobody."""

    def preparing(self, data: str) -> None:
        pass

    def started(self, cell: Cell, need: Need, tally: Tally) -> None:
        pass

    def ended(self, cell: Cell, line: Result, tally: Tally) -> None:
        pass


class Runner:
    """Runs what a study lacks.

    Args:
        study: what is to run.
        settings: how.
        watching: told how it goes.
        start: begins the process of a cell; for tests.

    Raises:
        OptionError: the study, or a place, is wrong. Nothing was run.
    """

    def __init__(
        self, study: Study, settings: Settings, watching: Watching | None = None, *,
        start: Callable[..., Job] = Job,
    ) -> None:  # fmt: skip
        self.study, self.settings, self._start = study, settings, start
        self._watching: Watching = watching or WatchingNothing()
        if study.tuning is not None:
            check_optuna()
        if settings.tensorboard is not None:
            check_tensorboard()
        maker = CellMaker(study=study, folder=settings.data, cache=settings.cache)
        self._plan = Plan(maker, lambda cell: self._need(cell).refusal)
        self._checked = self._plan.check()
        self.results = results_file(study, settings.out)
        self._trials_file = self.results.with_name(f"{study.title}_tuning.jsonl")
        with writing(settings.out):
            settings.out.mkdir(parents=True, exist_ok=True)
        check_file(self.results)
        self._lines = Lines(self.results, named_data=study.named_data, retry=settings.retry)
        self._trials = Lines(self._trials_file, named_data=study.named_data, retry=settings.retry)
        self._needs: dict[str, Need] = {}
        self._running: dict[Key, Job] = {}
        self._admission = Admission(settings.memory_bytes)
        self._total = self._plan.count()

    def run(self) -> Path:
        """Run all that has no line yet; returns the file of results.

        Raises:
            TrainingError: a data set could not be prepared.
            KeyboardInterrupt: after Ctrl-C; cells that ran are ended and have no line.
        """
        self._prepare()
        claims = Claims(self.results)
        try:
            self._loop(claims)
        finally:
            for job in self._running.values():
                job.kill()
            claims.close()
        return self.results

    # -- data --------------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Make every data set, one after the other, each in a process of its own: reading may take much memory."""
        had: set[str] = set()
        for cell in self._checked:
            config = cell.config.to_json()
            asked = json.dumps([config[key] for key in ("data", "schema", "split", "bad_rows")], sort_keys=True)
            if asked in had:
                continue
            had.add(asked)
            self._watching.preparing(cell.data)
            job = self._start(cell, self.settings.cache, self.settings.identity, prepare=True)
            try:
                outcome = job.wait()
            except BaseException:
                job.kill()
                raise
            if outcome.failed is not None:
                raise TrainingError(f"{cell.data} could not be prepared: {outcome.failed}")

    def _need(self, cell: Cell) -> Need:
        """Of all cells that differ by their seed and by what does not touch bytes, reckoned once."""
        config = {k: v for k, v in cell.config.to_json().items() if k not in ("seed", "train", "refit")}
        asked = json.dumps([config, cell.refusal], sort_keys=True, default=str)
        if asked not in self._needs:
            try:
                self._needs[asked] = need_of(cell, self.settings.cache)
            except Exception:  # whatever it is, it happens in the cell's process too, which then is one failed line
                self._needs[asked] = Need(bytes=0, budget_bytes=0)
        return self._needs[asked]

    # -- cells -------------------------------------------------------------------------------------------------------

    def _loop(self, claims: Claims) -> None:
        waiting: list[Cell] | None = None
        looked = 0.0
        while True:
            if self._end_some(claims) or waiting is None or time.monotonic() - looked > _LOOK_S:
                waiting = self._plan.ready(self._lines.by_key(), self._trials.by_key())
                looked = time.monotonic()
                if not waiting and not self._running:
                    return
            if self._start_some(waiting, claims):
                waiting = None
                continue
            time.sleep(_WAIT_S)

    def _start_some(self, waiting: list[Cell], claims: Claims) -> bool:
        """Start what fits, in order; whether a line was written, so that there may be more to run."""
        for cell in waiting:
            if len(self._running) >= self.settings.jobs:
                return False
            if cell.key in self._running or not claims.take(cell.key):
                continue
            if cell.key in self._known(cell):  # another runner was quicker
                claims.give_back(cell.key)
                return True
            need = self._need(cell)
            why = self._cannot(cell, need)
            if why is not None:
                self._write(cell, why, claims)
                return True
            if not self._admission.take(cell.key, need.bytes):
                claims.give_back(cell.key)
                return False  # the first that waits goes first, or large ones would wait for ever
            self._running[cell.key] = self._begin(cell)
            self._watching.started(cell, need, self._tally())
        return False

    def _cannot(self, cell: Cell, need: Need) -> Result | None:
        """The line of a cell that need not begin: refused by its method, or larger than the memory; else None."""
        identity = self.settings.identity
        if need.refusal is not None:
            return cell.not_run(need.refusal, identity, budget_bytes=need.budget_bytes)
        if not self._admission.too_large(need.bytes):
            return None
        why = (
            f"It would need about {need.bytes:,} bytes of memory, all cells together may take "
            f"{self._admission.limit:,}. Raise --memory on a machine that has it, and pass --retry."
        )
        return cell.not_run(why, identity, budget_bytes=need.budget_bytes, failed=True)

    def _begin(self, cell: Cell) -> Job:
        board = self.settings.tensorboard
        folder = None if board is None else board / _folder_name(cell)
        return self._start(cell, self.settings.cache, self.settings.identity, tensorboard=folder)

    def _end_some(self, claims: Claims) -> bool:
        """Write the lines of cells that have ended; whether there were any."""
        ended = [(job, found) for job in self._running.values() if (found := job.outcome()) is not None]
        for job, outcome in ended:
            self._admission.give_back(job.cell.key)
            del self._running[job.cell.key]
            self._write(job.cell, self._line(job.cell, outcome), claims)
        return bool(ended)

    def _line(self, cell: Cell, outcome: Outcome) -> Result:
        if outcome.line is not None:
            return cell.of(Result.from_json_line(outcome.line))
        identity, budget_bytes = self.settings.identity, outcome.budget_bytes or self._need(cell).budget_bytes
        if outcome.refused is not None:
            return cell.not_run(outcome.refused, identity, budget_bytes=budget_bytes)
        return cell.not_run(outcome.failed or "It failed.", identity, budget_bytes=budget_bytes, failed=True)

    def _write(self, cell: Cell, line: Result, claims: Claims) -> None:
        assert key_of(line, named_data=True)[1:] == cell.key[1:], "the cell would run again and again"
        append_result(self.results if cell.trial is None else self._trials_file, line)
        claims.give_back(cell.key)
        self._watching.ended(cell, line, self._tally())

    def _known(self, cell: Cell) -> Mapping[Key, Result]:
        return (self._lines if cell.trial is None else self._trials).by_key()

    def _tally(self) -> Tally:
        done = len(self._lines.by_key()) + len(self._trials.by_key())
        return Tally(done=done, running=len(self._running), total=max(self._total, done + len(self._running)))


def results_file(study: Study, out: Path) -> Path:
    """Where a study's lines go."""
    return out / f"{study.title}.jsonl"


def _folder_name(cell: Cell) -> str:
    """A folder for the events of a cell, readable in TensorBoard's list of runs."""
    parts = [cell.data, cell.config.method, str(cell.config.budget), cell.text, f"seed {cell.config.seed}"]
    parts += [f"trial {cell.trial}"] if cell.trial is not None else []
    return "/".join("".join(c if c.isalnum() or c in " .,=_-%" else "_" for c in part) for part in parts if part)
