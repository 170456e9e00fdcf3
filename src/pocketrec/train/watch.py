"""Watchers: who is told how training goes. They see, they never steer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, final

from pocketrec.spec.errors import OptionError
from pocketrec.spec.writing import writing

__all__ = ["Silent", "TensorBoard", "Watcher", "Watchers"]


class Watcher(Protocol):
    """Told about every step and epoch."""

    def begin(self, *, stage: str, epochs: int, batches: int, batch_size: int, epoch: int, batch: int) -> None:
        """A stage begins, or goes on at this epoch and batch."""
        ...

    def step(self, *, step: int, batch: int, loss: float) -> None:
        """A step was made."""
        ...

    def begin_scoring(self, *, stage: str, candidates: int, rows: int, done: int) -> None:
        """A stage begins, or goes on behind `done` of its candidates, each of which is scored on so many rows."""
        ...

    def scored(self, *, step: int, auc: float, best: float) -> None:
        """A candidate was scored, which counts as a step; `best` is the best AUC so far."""
        ...

    def epoch(self, entry: dict[str, Any]) -> None:
        """An epoch ended; `entry` is as in :class:`~pocketrec.train.outcome.Outcome`'s history."""
        ...

    def end(self) -> None:
        """Training ended, one way or the other."""
        ...


@final
class Silent:
    """Tells nobody."""

    def begin(self, *, stage: str, epochs: int, batches: int, batch_size: int, epoch: int, batch: int) -> None:
        pass

    def step(self, *, step: int, batch: int, loss: float) -> None:
        pass

    def begin_scoring(self, *, stage: str, candidates: int, rows: int, done: int) -> None:
        pass

    def scored(self, *, step: int, auc: float, best: float) -> None:
        pass

    def epoch(self, entry: dict[str, Any]) -> None:
        pass

    def end(self) -> None:
        pass


@final
class TensorBoard:
    """Writes scalars for TensorBoard (the extra ``tensorboard``).

    Args:
        folder: where the event files go.
        every: steps between two points of the training loss.

    Raises:
        OptionError: where TensorBoard is not installed.
    """

    def __init__(self, folder: Path, *, every: int = 50) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as missing:
            raise OptionError("TensorBoard is not installed. Run: pip install 'pocketrec[tensorboard]'") from missing
        with writing(folder):
            self._writer = SummaryWriter(str(folder))
        self._every = every
        self._resumed = False
        self._batches, self._batch_size = 0, 1

    def begin(self, *, stage: str, epochs: int, batches: int, batch_size: int, epoch: int, batch: int) -> None:
        self._resumed = epoch > 0 or batch > 0
        self._batches, self._batch_size = batches, batch_size

    def step(self, *, step: int, batch: int, loss: float) -> None:
        self._hide_from(step)
        if step % self._every == 0:
            self._writer.add_scalar("train/loss", loss, step)

    def begin_scoring(self, *, stage: str, candidates: int, rows: int, done: int) -> None:
        self._resumed = done > 0

    def scored(self, *, step: int, auc: float, best: float) -> None:
        self._hide_from(step)
        self._writer.add_scalar("search/auc", auc, step)
        self._writer.add_scalar("search/best_auc", best, step)

    def epoch(self, entry: dict[str, Any]) -> None:
        self._hide_from(entry["step"])
        for name, value in entry.items():
            if isinstance(value, float):
                self._writer.add_scalar(f"epoch/{name}", value, entry["step"])
        if "progressive" in entry:
            self._progressive(entry["progressive"], entry["step"])

    def _progressive(self, told: dict[str, Any], step: int) -> None:
        """The log-loss of rows before they were learned from: as a curve beside that of the steps, and as a number."""
        for name in ("logloss", "normalised_entropy", "calibration"):
            if told[name] is not None:
                self._writer.add_scalar(f"progressive/{name}", told[name], step)
        for rows, logloss in told["curve"]:
            steps = -(-rows // self._batch_size)  # a window ends with a batch
            self._writer.add_scalar("train/progressive_logloss", logloss, step - self._batches + steps)

    def _hide_from(self, step: int) -> None:
        """After a resume, hide what the killed run drew beyond its last checkpoint: it is drawn again."""
        if self._resumed:
            self._writer.close()
            self._writer.purge_step, self._resumed = step, False

    def end(self) -> None:
        self._writer.close()


@final
class Watchers:
    """Tells several.

    Args:
        watchers: told one after the other.
    """

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self._watchers = watchers

    def begin(self, *, stage: str, epochs: int, batches: int, batch_size: int, epoch: int, batch: int) -> None:
        for watcher in self._watchers:
            watcher.begin(stage=stage, epochs=epochs, batches=batches, batch_size=batch_size, epoch=epoch, batch=batch)

    def step(self, *, step: int, batch: int, loss: float) -> None:
        for watcher in self._watchers:
            watcher.step(step=step, batch=batch, loss=loss)

    def begin_scoring(self, *, stage: str, candidates: int, rows: int, done: int) -> None:
        for watcher in self._watchers:
            watcher.begin_scoring(stage=stage, candidates=candidates, rows=rows, done=done)

    def scored(self, *, step: int, auc: float, best: float) -> None:
        for watcher in self._watchers:
            watcher.scored(step=step, auc=auc, best=best)

    def epoch(self, entry: dict[str, Any]) -> None:
        for watcher in self._watchers:
            watcher.epoch(entry)

    def end(self) -> None:
        for watcher in self._watchers:
            watcher.end()
