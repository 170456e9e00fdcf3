"""How far probing is: a line per training, and a bar below them where there is a terminal; on standard error."""

from __future__ import annotations

from types import TracebackType
from typing import final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from pocketrec.bench.probe import Finding
from pocketrec.cli._reading import ReadingBar

__all__ = ["ProbeBar"]


@final
class ProbeBar:
    """Told by the prober.

    Args:
        reading: the bar before, which is taken away.
        quiet: show nothing.
        console: where to draw; standard error when not given, so that standard output stays clean.
    """

    def __init__(self, reading: ReadingBar, *, quiet: bool = False, console: Console | None = None) -> None:
        self._reading, self._quiet, self._console = reading, quiet, console or Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            console=self._console, transient=True, disable=quiet or not self._console.is_terminal,
        )  # fmt: skip
        self._task = TaskID(0)

    def __enter__(self) -> ProbeBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def stage(self, name: str, trainings: int) -> None:
        """So many trainings begin."""
        self._reading.end()
        self._say(f"{name}: {trainings} {'training' if trainings == 1 else 'trainings'}")
        for task in self._bar.task_ids:
            self._bar.remove_task(task)
        self._task = self._bar.add_task(name, total=trainings)
        self._bar.start()

    def found(self, finding: Finding) -> None:
        """One has ended."""
        if finding.figure is None:
            ended = finding.why or "failed"
        else:
            ended = f"{finding.figure:.5f} on validation rows, {finding.cpu_seconds:.0f} s of processor"
        seed = f" seed {finding.seed}" if finding.seed else ""
        self._say(f"  {finding.label}{seed}: {ended}")
        self._bar.advance(self._task)

    def _say(self, text: str) -> None:
        if not self._quiet:
            self._console.print(text, soft_wrap=True, markup=False, highlight=False)
