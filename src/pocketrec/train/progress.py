"""A progress bar for training: rows/s, loss, validation AUC, time left; or for the candidates of a search."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

__all__ = ["ProgressBar"]

# Drawing costs more than a small step, so the bar is told of steps only so often.
_EVERY_S = 0.1
# Share of the newest step in the running mean of the loss.
_NEWEST = 0.02


@final
class ProgressBar:
    """One bar per stage, over all its batches or candidates; a line per epoch stays above it.

    Where there is no terminal (a log file) only the lines are written.

    Args:
        label: what is trained.
        console: where to draw; standard error when not given, so that standard output stays clean.
        clock: seconds, from anywhere.
    """

    def __init__(
        self, label: str, console: Console | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._label, self._console, self._clock = label, console or Console(stderr=True), clock
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._batch_size, self._done, self._shown_at_s = 0, 0, 0.0
        self._loss: float | None = None
        self._auc = ""

    def begin(self, *, stage: str, epochs: int, batches: int, batch_size: int, epoch: int, batch: int) -> None:
        self._start(f"{self._label} {stage}", batch_size, total=epochs * batches, done=epoch * batches + batch)

    def begin_scoring(self, *, stage: str, candidates: int, rows: int, done: int) -> None:
        self._start(f"{self._label} {stage}: scoring candidates", rows, total=candidates, done=done)

    def _start(self, name: str, rows: int, *, total: int, done: int) -> None:
        """A bar of so many things, each of which takes so many rows."""
        self.end()
        self._batch_size, self._done, self._loss, self._auc = rows, done, None, ""
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[figures]}"),
            TextColumn("left"), TimeRemainingColumn(), console=self._console, transient=True, get_time=self._clock,
        )  # fmt: skip
        self._task = self._bar.add_task(name, total=total, completed=done, figures="")
        self._bar.start()
        self._shown_at_s = self._clock()

    def step(self, *, step: int, batch: int, loss: float) -> None:
        self._done += 1
        self._loss = loss if self._loss is None else (1 - _NEWEST) * self._loss + _NEWEST * loss
        if self._clock() - self._shown_at_s >= _EVERY_S:
            self._show()

    def scored(self, *, step: int, auc: float, best: float) -> None:
        self._done += 1
        self._auc = f"AUC {auc:.4f}, best {best:.4f}"
        if self._clock() - self._shown_at_s >= _EVERY_S:
            self._show()

    def epoch(self, entry: dict[str, Any]) -> None:
        if self._bar is None:
            return
        if "candidates" in entry:
            self._show()
            self._bar.console.print(
                f"{self._label} {entry['stage']}: {entry['candidates']:,} candidates scored  best validation AUC "
                f"{entry['auc']:.5f}  {entry['rows_per_s']:,.0f} rows/s",
                soft_wrap=True,
            )
            return
        auc = entry.get("auc")
        self._auc = "" if auc is None else f"validation AUC {auc:.4f}"
        self._show()
        valid = f"  log-loss {entry['logloss']:.5f}" if "logloss" in entry else ""
        valid = (f"  validation AUC {auc:.5f}" if auc is not None else "") + valid
        if "progressive" in entry:
            valid += f"  progressive log-loss {entry['progressive']['logloss']:.5f}"
        left_s = self._bar.tasks[0].time_remaining
        left = f"  at most {timedelta(seconds=int(left_s))} left" if left_s else ""
        self._bar.console.print(
            f"{self._label} {entry['stage']} epoch {entry['epoch']}: loss {entry['train_loss']:.5f}{valid}"
            f"  {entry['rows_per_s']:,.0f} rows/s{left}",
            soft_wrap=True,
        )

    def end(self) -> None:
        if self._bar is not None:
            self._show()
            self._bar.stop()
            self._bar = None

    def _show(self) -> None:
        """Bring the bar to the present step."""
        if self._bar is None:
            return
        self._shown_at_s = self._clock()
        self._bar.update(self._task, completed=self._done)
        speed = self._bar.tasks[0].speed
        figures = [
            f"{speed * self._batch_size:,.0f} rows/s" if speed else "",
            "" if self._loss is None else f"loss {self._loss:.4f}",
            self._auc,
        ]
        self._bar.update(self._task, figures=" ".join(filter(None, figures)))
