"""The clock of steps."""

from __future__ import annotations

from collections.abc import Iterator

from pocketrec.train.step_clock import StepClock


def ticking(*ns: int) -> StepClock:
    times: Iterator[int] = iter(ns)
    return StepClock(clock=lambda: next(times))


def begin(clock: StepClock) -> None:
    clock.begin(stage="train", epochs=2, batches=3, batch_size=4, epoch=0, batch=0)


def test_it_is_the_median_of_what_lies_between_steps() -> None:
    clock = ticking(0, 1_000_000, 3_000_000, 103_000_000)
    begin(clock)
    for number in range(4):
        clock.step(step=number, batch=number, loss=0.5)
    assert clock.median_ms == 2.0  # of 1, 2 and 100


def test_validation_between_two_epochs_does_not_count() -> None:
    clock = ticking(0, 1_000_000, 900_000_000, 901_000_000)
    begin(clock)
    for number in range(4):
        clock.step(step=number, batch=number, loss=0.5)
        if number == 1:
            clock.epoch({})
    assert clock.median_ms == 1.0


def test_nothing_is_known_before_two_steps() -> None:
    clock = ticking(5)
    begin(clock)
    assert clock.median_ms is None
    clock.step(step=1, batch=1, loss=0.5)
    clock.end()
    assert clock.median_ms is None


def test_candidates_are_no_steps() -> None:
    clock = ticking(0, 1_000_000, 900_000_000, 901_000_000)
    begin(clock)
    for number in range(4):
        clock.step(step=number, batch=number, loss=0.5)
        if number == 1:
            clock.begin_scoring(stage="evolve", candidates=2, rows=4, done=0)
            clock.scored(step=2, auc=0.5, best=0.5)
    assert clock.median_ms == 1.0
