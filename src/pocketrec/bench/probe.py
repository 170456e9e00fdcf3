"""Short trainings that tell candidates apart: successive halving on validation rows.

All candidates train for a little; the best of them train for longer, and so on (Jamieson, Talwalkar, AISTATS 2016).
Every training is a process of its own and leaves a line in a file, so that a probing that was interrupted goes on where
it was, and nothing is trained twice. No test row is read.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from pocketrec.bench.cells import Cell
from pocketrec.bench.jobs import Job, Outcome
from pocketrec.bench.memory import Admission, need_of
from pocketrec.bench.objective import objective
from pocketrec.data.journal import write_durably
from pocketrec.pipeline.config import RunConfig, overridden
from pocketrec.spec.errors import BadFile, OptionError, PocketrecError
from pocketrec.spec.result import Result
from pocketrec.spec.writing import writing

__all__ = ["Candidate", "Finding", "Prober", "Probing", "Rung", "Silently", "mean_figures"]

_WAIT_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What may be chosen.

    Attributes:
        label: for people; two candidates of one label have equal values.
        values: settings by dotted key that replace those of the run.
    """

    label: str
    values: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """How long a candidate trains.

    Attributes:
        epochs: at most; patience may end them before.
        share: of the training rows per epoch, above 0 to 1.
    """

    epochs: int
    share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one training found.

    Attributes:
        label: of the candidate.
        rung: how long it trained.
        seed: of the run.
        asked: what was trained, as a text; equal for equal trainings.
        figure: on validation rows, more is better; None where it did not run.
        logloss: on validation rows.
        epochs: that were chosen.
        held_bytes: of the tables that serve.
        train_bytes: of the tables in training.
        ns_per_lookup: processor nanoseconds per looked-up id.
        cpu_seconds: processor time of its process.
        why: it did not run: refused, or failed.
    """

    label: str
    rung: Rung
    seed: int
    asked: str
    figure: float | None = None
    logloss: float | None = None
    epochs: int | None = None
    held_bytes: int | None = None
    train_bytes: int | None = None
    ns_per_lookup: float | None = None
    cpu_seconds: float = 0.0
    why: str | None = None

    def to_json_line(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json_line(line: str) -> Finding:
        """The inverse of :meth:`to_json_line`."""
        values = json.loads(line)
        return Finding(**{**values, "rung": Rung(**values["rung"])})


class Probing(Protocol):
    """Told how it goes."""

    def stage(self, name: str, trainings: int) -> None:
        """So many trainings begin."""
        ...

    def found(self, finding: Finding) -> None:
        """One has ended."""
        ...


class Silently:
    """Tells nobody."""

    def stage(self, name: str, trainings: int) -> None:
        pass

    def found(self, finding: Finding) -> None:
        pass


class Prober:
    """Trains candidates.

    Args:
        base: the run whose settings candidates replace.
        data: what tells its data apart from other data, such as the name of its cache.
        cache: folder of encoded data; the run's data is there.
        lines: file of findings, which is read first; None keeps none.
        jobs: trainings at a time.
        memory_bytes: what all of them together may need.
        watching: told how it goes.
        start: begins the process of a training; for tests.

    Attributes:
        findings: all so far, those that were read included.
    """

    def __init__(
        self, base: RunConfig, data: str, cache: Path, *, lines: Path | None = None, jobs: int = 1,
        memory_bytes: int = 1 << 62, watching: Probing | None = None, start: Callable[..., Job] = Job,
    ) -> None:  # fmt: skip
        if jobs < 1:
            raise OptionError(f"--jobs must be 1 or more, got {jobs}.")
        self.base, self.cache, self._data, self._lines, self._jobs = base, cache, data, lines, jobs
        self._watching: Probing = watching or Silently()
        self._admission = Admission(memory_bytes)
        self._start = start
        self.findings: dict[str, Finding] = {} if lines is None else _read(lines)

    def run(self, name: str, asked: Sequence[tuple[Candidate, Rung, int]]) -> list[Finding]:
        """The findings of these trainings, (candidate, rung, seed) each, in their order.

        Args:
            name: of this stage, for people.
            asked: what is trained, as far as no line says it yet.

        Raises:
            KeyboardInterrupt: after Ctrl-C; those that ran are ended and have no line.
        """
        cells = [self._cell(*one) for one in asked]
        waiting = [k for k, (key, _) in enumerate(cells) if key not in self.findings]
        waiting = [k for place, k in enumerate(waiting) if cells[k][0] not in [cells[j][0] for j in waiting[:place]]]
        self._watching.stage(name, len(waiting))
        running: dict[int, Job] = {}
        try:
            while waiting or running:
                self._begin(waiting, running, asked, cells)
                for k in [k for k, job in running.items() if (outcome := job.outcome()) is not None and self._end(
                    asked[k], cells[k][0], outcome)]:  # fmt: skip
                    self._admission.give_back(k)
                    del running[k]
                time.sleep(_WAIT_S)
        finally:
            for job in running.values():
                job.kill()
        return [self.findings[key] for key, _ in cells]

    def _begin(
        self, waiting: list[int], running: dict[int, Job], asked: Sequence[tuple[Candidate, Rung, int]],
        cells: Sequence[tuple[str, Cell | str]],
    ) -> None:  # fmt: skip
        """Start those that fit."""
        while waiting and len(running) < self._jobs:
            key, cell = cells[waiting[0]]
            why, need = (cell, 0) if isinstance(cell, str) else self._need(cell)
            if why is None and not self._admission.take(waiting[0], need):
                return
            number = waiting.pop(0)
            if why is not None or isinstance(cell, str):
                self._keep(_finding(asked[number], key, why=why))
            else:
                running[number] = self._start(cell, self.cache, {"commit": "probe"})

    def _need(self, cell: Cell) -> tuple[str | None, int]:
        """Why it cannot run, and the memory that it needs."""
        need = need_of(cell, self.cache)
        if need.refusal is None and self._admission.too_large(need.bytes):
            return f"It needs about {need.bytes:,} bytes of memory, {self._admission.limit:,} are allowed.", 0
        return need.refusal, need.bytes

    def _end(self, one: tuple[Candidate, Rung, int], key: str, outcome: Outcome) -> bool:
        if outcome.line is None:
            self._keep(_finding(one, key, why=outcome.refused or outcome.failed or "It failed."))
            return True
        result = Result.from_json_line(outcome.line)
        self._keep(
            _finding(
                one, key, figure=objective(result, self.base.train.choose_by), epochs=result.epochs,
                logloss=None if result.validation is None else result.validation.logloss,
                held_bytes=result.held_bytes, train_bytes=result.train_bytes, ns_per_lookup=result.ns_per_lookup,
                cpu_seconds=result.cpu_seconds or 0.0,
            )
        )  # fmt: skip
        return True

    def _keep(self, finding: Finding) -> None:
        self.findings[finding.asked] = finding
        if self._lines is not None:
            with writing(self._lines), self._lines.open("a", encoding="utf-8") as file:
                file.write(finding.to_json_line() + "\n")
        self._watching.found(finding)

    def _cell(self, candidate: Candidate, rung: Rung, seed: int) -> tuple[str, Cell | str]:
        """What is asked as a text, and its cell; or why it makes no sense."""
        own = {
            **candidate.values, "train.epochs": rung.epochs, "train.share": rung.share, "refit": False, "seed": seed,
        }  # fmt: skip
        values = overridden(self.base.to_json(), own)
        asked = json.dumps({**values, "data": self._data}, sort_keys=True, default=str)
        try:
            config = RunConfig.from_json(values, source=candidate.label)
        except PocketrecError as wrong:
            return asked, str(wrong)
        key = ("", config.method, str(config.budget), seed, candidate.label, "", 0)
        return asked, Cell(key=key, data=candidate.label, config=config, trial=0)


def mean_figures(findings: Sequence[Finding]) -> dict[str, float]:
    """By label, the mean figure over seeds of its longest rung, the best first; who failed once is left out."""
    longest: dict[str, list[Finding]] = {}
    for one in findings:
        known = longest.setdefault(one.label, [])
        if known and _length(one.rung) > _length(known[0].rung):
            known.clear()
        if not known or one.rung == known[0].rung:
            known.append(one)
    figures = {label: [one.figure for one in own] for label, own in longest.items()}
    means = {
        label: sum(f for f in own if f is not None) / len(own) for label, own in figures.items() if None not in own
    }
    return dict(sorted(means.items(), key=lambda item: -item[1]))


def _length(rung: Rung) -> float:
    return rung.epochs * rung.share


def _finding(one: tuple[Candidate, Rung, int], asked: str, **known: Any) -> Finding:
    candidate, rung, seed = one
    return Finding(label=candidate.label, rung=rung, seed=seed, asked=asked, **known)


def _read(lines: Path) -> dict[str, Finding]:
    """The findings of a file; a last line that a kill cut short is taken away."""
    if not lines.exists():
        return {}
    found = {}
    text = lines.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        write_durably(lines, whole.encode())
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            one = Finding.from_json_line(line)
        except (ValueError, TypeError, KeyError) as wrong:
            raise BadFile(str(lines), f"line {number} is no finding of a probing. Delete the file.") from wrong
        found[one.asked] = one
    return found
