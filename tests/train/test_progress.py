"""The bar counts every step, begins where a resume begins, and tells rows/s, loss, validation AUC and time left."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console

from pocketrec.train.progress import ProgressBar

ENTRY = {"stage": "train", "epoch": 1, "step": 40, "train_loss": 0.61234, "rows_per_s": 123456.0, "seconds": 4.0}


class Shown:
    """A bar over 2 epochs of 40 batches of 125 rows; every step takes an eighth of a second."""

    def __init__(self, *, terminal: bool, epoch: int = 0, batch: int = 0) -> None:
        self.now_s, self.out = 0.0, io.StringIO()
        console = Console(file=self.out, force_terminal=terminal, width=160, color_system=None)
        self.bar = ProgressBar("full", console, clock=lambda: self.now_s)
        self.bar.begin(stage="train", epochs=2, batches=40, batch_size=125, epoch=epoch, batch=batch)

    def steps(self, count: int, *, loss: float = 0.5, seconds: float = 0.125) -> None:
        for _ in range(count):
            self.now_s += seconds
            self.bar.step(step=1, batch=1, loss=loss)

    def task(self) -> Any:
        assert self.bar._bar is not None
        return self.bar._bar.tasks[0]

    def drawn(self) -> str:
        """The bar as a person sees it now."""
        assert self.bar._bar is not None
        console = Console(file=(out := io.StringIO()), width=160, color_system=None)
        console.print(self.bar._bar)
        return out.getvalue()


@pytest.fixture(params=[True, False], ids=["terminal", "log file"])
def shown(request: pytest.FixtureRequest) -> Any:
    made = Shown(terminal=request.param)
    yield made
    made.bar.end()


def test_every_step_is_counted(shown: Shown) -> None:
    shown.steps(37, seconds=0.001)  # too quick to be drawn one by one
    shown.bar.epoch({**ENTRY})
    assert (shown.task().completed, shown.task().total) == (37, 80)
    shown.steps(3, seconds=0.001)
    task = shown.task()
    shown.bar.end()
    assert task.completed == 40


def test_drawing_waits_a_tenth_of_a_second(shown: Shown) -> None:
    shown.steps(99, seconds=0.001)
    assert shown.task().completed == 0
    shown.steps(2, seconds=0.001)
    assert shown.task().completed >= 99


def test_the_bar_shows_rows_per_s_loss_auc_and_time_left(shown: Shown) -> None:
    shown.steps(40)
    shown.bar.epoch({**ENTRY, "auc": 0.7512345, "logloss": 0.46})
    text = shown.drawn()
    assert "full train" in text
    assert "40/80" in text
    assert "1,000 rows/s" in text  # 125 rows every 0.125 s
    assert "loss 0.5000" in text
    assert "validation AUC 0.7512" in text
    assert "left 0:00:05" in text  # 40 steps of 0.125 s


def test_the_loss_is_a_running_mean_that_begins_at_the_first(shown: Shown) -> None:
    shown.steps(1, loss=0.0)
    assert "loss 0.0000" in shown.drawn()
    shown.steps(1, loss=1.0)
    assert "loss 0.0200" in shown.drawn()


@pytest.mark.parametrize("terminal", [True, False])
def test_every_epoch_leaves_a_line(terminal: bool) -> None:
    shown = Shown(terminal=terminal)
    shown.steps(40)
    shown.bar.epoch({**ENTRY, "auc": 0.7512345, "logloss": 0.46})
    shown.steps(40)
    shown.bar.epoch({**ENTRY, "epoch": 2, "auc": None, "logloss": 0.45})
    shown.bar.end()
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.out.getvalue()).splitlines()]
    assert (
        "full train epoch 1: loss 0.61234  validation AUC 0.75123  log-loss 0.46000  123,456 rows/s  "
        "at most 0:00:05 left"
    ) in lines
    assert "full train epoch 2: loss 0.61234  log-loss 0.45000  123,456 rows/s" in lines
    if not terminal:
        assert len(list(filter(None, lines))) == 2, "a log file gets the lines alone"


def test_without_validation_the_line_says_the_loss_alone() -> None:
    shown = Shown(terminal=False)
    shown.bar.epoch(ENTRY)
    shown.bar.end()
    assert shown.out.getvalue().strip() == "full train epoch 1: loss 0.61234  123,456 rows/s"


def test_the_first_epoch_tells_the_log_loss_before_rows_were_learned_from() -> None:
    shown = Shown(terminal=False)
    shown.bar.epoch({**ENTRY, "auc": 0.75, "logloss": 0.46, "progressive": {"logloss": 0.654321}})
    shown.bar.end()
    assert "log-loss 0.46000  progressive log-loss 0.65432  123,456 rows/s" in shown.out.getvalue()


def test_a_resumed_run_begins_where_it_stopped() -> None:
    shown = Shown(terminal=True, epoch=1, batch=10)
    assert shown.task().completed == 50
    shown.steps(20)
    assert shown.task().completed == 70
    assert "left 0:00:02" in shown.drawn(), "steps of the run before are not counted as speed"
    shown.bar.end()


def test_a_second_stage_is_a_second_bar() -> None:
    shown = Shown(terminal=False)
    shown.steps(5, loss=9.0)
    shown.bar.begin(stage="retrain", epochs=1, batches=10, batch_size=100, epoch=0, batch=0)
    shown.steps(2, loss=1.0)
    assert (shown.task().completed, shown.task().total) == (2, 10)
    assert "full retrain" in shown.drawn()
    assert "loss 1.0000" in shown.drawn()
    shown.bar.end()


def test_told_before_it_began_and_after_it_ended_it_stays_quiet() -> None:
    out = io.StringIO()
    bar = ProgressBar("full", Console(file=out))
    bar.step(step=1, batch=1, loss=0.5)
    bar.epoch(ENTRY)
    bar.end()
    bar.end()
    assert out.getvalue() == ""


def test_standard_output_stays_clean() -> None:
    assert ProgressBar("full")._console.stderr


@pytest.mark.parametrize("terminal", [True, False])
def test_a_search_says_that_it_scores_candidates_and_how_good_they_are(terminal: bool) -> None:
    shown = Shown(terminal=terminal)
    shown.bar.begin_scoring(stage="evolve", candidates=601, rows=5000, done=100)
    assert "full evolve: scoring candidates" in shown.drawn(), "before the first of them"
    for auc in (0.71234, 0.70001):
        shown.now_s += 0.5
        shown.bar.scored(step=1, auc=auc, best=0.71234)
    assert (shown.task().completed, shown.task().total) == (102, 601)
    for said in ("102/601", "10,000 rows/s", "AUC 0.7000, best 0.7123", "left 0:04:10"):
        assert said in shown.drawn(), said
    shown.bar.epoch(
        {"stage": "evolve", "epoch": 1, "candidates": 480, "auc": 0.71234, "rows_per_s": 10000.0, "seconds": 1.0}
    )
    shown.bar.end()
    assert "full evolve: 480 candidates scored  best validation AUC 0.71234  10,000 rows/s" in shown.out.getvalue()
