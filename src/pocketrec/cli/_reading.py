"""A bar while files are read: on standard error, gone when training begins."""

from __future__ import annotations

from types import TracebackType
from typing import Any, final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

__all__ = ["ReadingBar"]

_SAID = {"read": "reading", "rank": "ranking tokens", "write": "writing the cache"}


@final
class ReadingBar:
    """Shows how far reading is; a `Progress` of the data package, and a watcher that stops when a stage begins.

    Args:
        quiet: show nothing.
        console: where to draw; standard error when not given, so that standard output stays clean.
    """

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        self._quiet, self._console = quiet, console or Console(stderr=True)
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def __enter__(self) -> ReadingBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Told by the data package: the stage, how much is done, of how much (0: nobody knows)."""
        if self._quiet:
            return
        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[figures]}"),
                TimeElapsedColumn(), console=self._console, transient=True, disable=not self._console.is_terminal,
            )  # fmt: skip
            self._task = self._bar.add_task("", total=None, figures="")
            self._bar.start()
        figures = f"{done:,} of {total:,}" if total else f"{done:,} rows"
        self._bar.update(
            self._task, description=_SAID.get(stage, stage), completed=done, total=total or None, figures=figures
        )

    def begin(self, **_: Any) -> None:
        """A stage of training begins: its own bar takes the place of this one."""
        self.end()

    def step(self, *, step: int, batch: int, loss: float) -> None:
        """Nothing: the training bar shows it."""

    def begin_scoring(self, **_: Any) -> None:
        """A stage of a search begins: its own bar takes the place of this one."""
        self.end()

    def scored(self, *, step: int, auc: float, best: float) -> None:
        """Nothing: the bar of the search shows it."""

    def epoch(self, entry: dict[str, Any]) -> None:
        """Nothing: the training bar shows it."""

    def end(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
