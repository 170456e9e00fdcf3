"""The processor's time of one step of training."""

from __future__ import annotations

import statistics
import time
from array import array
from collections.abc import Callable
from typing import Any, final

__all__ = ["StepClock"]


@final
class StepClock:
    """A watcher that measures how much processor time lies between one step and the next.

    That is reading the batch, forward, backward and update, over all threads of the process; time in which the process
    waits for a processor does not count, so that a busy machine does not make steps slow. What lies between two epochs
    (validation) is left out.

    Args:
        clock: nanoseconds, from anywhere.
    """

    def __init__(self, *, clock: Callable[[], int] = time.process_time_ns) -> None:
        self._clock = clock
        self._steps_ns = array("q")
        self._last: int | None = None

    @property
    def median_ms(self) -> float | None:
        """Median milliseconds of a step, None before two steps of one epoch were made."""
        return statistics.median(self._steps_ns) / 1e6 if self._steps_ns else None

    def begin(self, *, stage: str, epochs: int, batches: int, batch_size: int, epoch: int, batch: int) -> None:
        self._last = None

    def step(self, *, step: int, batch: int, loss: float) -> None:
        now = self._clock()
        if self._last is not None:
            self._steps_ns.append(now - self._last)
        self._last = now

    def begin_scoring(self, *, stage: str, candidates: int, rows: int, done: int) -> None:
        self._last = None

    def scored(self, *, step: int, auc: float, best: float) -> None:
        """Nothing: no step of training."""

    def epoch(self, entry: dict[str, Any]) -> None:
        self._last = None

    def end(self) -> None:
        self._last = None
