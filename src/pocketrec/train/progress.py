"""A progress bar for training: rows/s, loss, validation AUC, time left."""

from __future__ import annotations

from typing import Any, final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

__all__ = ["ProgressBar"]

# The text is refreshed every so many steps: drawing costs more than a small step.
_EVERY = 20


@final
class ProgressBar:
    """One bar per stage, over all its batches; a line per epoch stays above it.

    Args:
        label: what is trained.
        console: where to draw; standard error when not given, so that standard output stays clean.
    """

    def __init__(self, label: str, console: Console | None = None) -> None:
        self._label, self._console = label, console or Console(stderr=True)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._loss, self._batch_size, self._auc = 0.0, 0, ""

    def begin(self, *, stage: str, epochs: int, batches: int, batch_size: int, epoch: int, batch: int) -> None:
        self.end()
        self._batch_size = batch_size
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(), console=self._console, transient=True,
        )  # fmt: skip
        self._task = self._bar.add_task(
            f"{self._label} {stage}", total=epochs * batches, completed=epoch * batches + batch, figures=""
        )
        self._bar.start()

    def step(self, *, step: int, batch: int, loss: float) -> None:
        self._loss = loss if self._loss == 0.0 else 0.98 * self._loss + 0.02 * loss
        if self._bar is None or step % _EVERY:
            return
        self._bar.advance(self._task, _EVERY)
        speed = self._bar.tasks[0].speed
        rows = f"{speed * self._batch_size:,.0f} rows/s" if speed else ""
        self._bar.update(self._task, figures=f"{rows} loss {self._loss:.4f} {self._auc}")

    def epoch(self, entry: dict[str, Any]) -> None:
        if self._bar is None:
            return
        auc = entry.get("auc")
        self._auc = "" if auc is None else f"val AUC {auc:.4f}"
        valid = "" if auc is None else f"  validation AUC {auc:.5f}  log-loss {entry['logloss']:.5f}"
        self._bar.console.print(
            f"{self._label} {entry['stage']} epoch {entry['epoch']}: loss {entry['train_loss']:.5f}{valid}"
            f"  {entry['rows_per_s']:,.0f} rows/s"
        )

    def end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
