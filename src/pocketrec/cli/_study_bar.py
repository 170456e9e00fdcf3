"""How far a study is: a line per cell, and a bar below them where there is a terminal; on standard error."""

from __future__ import annotations

from types import TracebackType
from typing import final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from pocketrec.bench.cells import Cell
from pocketrec.bench.memory import Need
from pocketrec.bench.runner import Tally
from pocketrec.spec.result import Result

__all__ = ["StudyBar"]


@final
class StudyBar:
    """Told by the runner.

    Args:
        quiet: show nothing.
        console: where to draw; standard error when not given, so that standard output stays clean.
    """

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        self._quiet, self._console = quiet, console or Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            console=self._console, transient=True, disable=quiet or not self._console.is_terminal,
        )  # fmt: skip
        self._task = TaskID(0)

    def __enter__(self) -> StudyBar:
        self._task = self._bar.add_task("cells", total=None)
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def preparing(self, data: str) -> None:
        """A data set is encoded, if it is not in the cache."""
        self._say(f"data: {data}")

    def started(self, cell: Cell, need: Need, tally: Tally) -> None:
        """A cell began."""
        self._show(tally)

    def ended(self, cell: Cell, line: Result, tally: Tally) -> None:
        """A cell has its line."""
        left = max(0, tally.total - tally.done - tally.running)
        place = f"{tally.done} done, {tally.running} running, {left} left"
        self._say(f"[{place}] {line.data}: {cell.title}: {_ended(line)}")
        self._show(tally)

    def _show(self, tally: Tally) -> None:
        self._bar.update(self._task, completed=tally.done, total=tally.total)

    def _say(self, text: str) -> None:
        if not self._quiet:
            self._console.print(text, soft_wrap=True, markup=False, highlight=False)


def _ended(line: Result) -> str:
    """How a cell ended, in a few words."""
    if line.skipped is not None:
        return f"{'failed' if line.failed else 'skipped'}: {line.skipped}"
    scores = [(name, m.auc) for name, m in (("validation", line.validation), ("test", line.test)) if m is not None]
    said = [f"{name} AUC {auc:.5f}" for name, auc in scores if auc is not None]
    said += [] if line.epochs is None else [f"{line.epochs} {'epoch' if line.epochs == 1 else 'epochs'}"]
    said += [] if line.held_bytes is None else [f"{line.held_bytes:,} bytes"]
    said += [] if line.seconds is None else [f"{line.seconds:.1f} s"]
    return ", ".join([*said, *(f"{key}={value}" for key, value in line.tuned.items())])
