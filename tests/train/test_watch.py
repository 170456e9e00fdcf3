"""Watchers: several at once, and scalars that TensorBoard reads back."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pocketrec.spec.errors import OptionError
from pocketrec.train.watch import Silent, TensorBoard, Watchers

BEGIN = {"stage": "train", "epochs": 2, "batches": 4, "batch_size": 8}
ENTRY = {
    "stage": "train", "epoch": 1, "step": 4, "train_loss": 0.6, "rows_per_s": 100.0, "seconds": 0.3, "auc": 0.7,
    "logloss": 0.5,
}  # fmt: skip


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """All points by name, as TensorBoard shows them."""
    found = EventAccumulator(str(folder))
    found.Reload()
    return {
        tag: [(event.step, pytest.approx(event.value, rel=1e-6)) for event in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    }


def drawn(folder: Path, first: int, last: int, *, every: int = 2, resumed: bool = False, end: bool = True) -> None:
    """A run that makes the steps first..last; loss is the step's number."""
    board = TensorBoard(folder, every=every)
    board.begin(**BEGIN, epoch=0, batch=first - 1 if resumed else 0)
    for step in range(first, last + 1):
        board.step(step=step, batch=step, loss=float(step))
    board.epoch({**ENTRY, "step": last})
    board.end()


def test_tensorboard_reads_the_scalars_back(tmp_path: Path) -> None:
    drawn(tmp_path, 1, 5)
    found = scalars(tmp_path)
    assert found["train/loss"] == [(2, 2.0), (4, 4.0)]
    assert found["epoch/auc"] == [(5, 0.7)]
    assert found["epoch/logloss"] == [(5, 0.5)]
    assert found["epoch/train_loss"] == [(5, 0.6)]
    assert set(found) == {
        "train/loss",
        *(f"epoch/{n}" for n in ("auc", "logloss", "train_loss", "rows_per_s", "seconds")),
    }


def test_the_curve_of_rows_before_they_were_learned_from_is_drawn_over_the_steps(tmp_path: Path) -> None:
    told = {
        "rows": 29, "logloss": 0.625, "normalised_entropy": None, "calibration": 1.5,
        "curve": [[16, 0.75], [29, 0.5]], "rates": [0.5, 0.5], "precision": "float32",
    }  # fmt: skip
    board = TensorBoard(tmp_path)
    board.begin(**BEGIN, epoch=0, batch=0)  # 4 batches of 8 rows
    board.epoch({**ENTRY, "step": 14, "progressive": told})  # after 10 steps of an earlier stage
    board.end()
    found = scalars(tmp_path)
    assert found["train/progressive_logloss"] == [(12, 0.75), (14, 0.5)]
    assert found["progressive/logloss"] == [(14, 0.625)]
    assert found["progressive/calibration"] == [(14, 1.5)]
    assert "progressive/normalised_entropy" not in found


def test_what_is_not_defined_is_not_drawn(tmp_path: Path) -> None:
    board = TensorBoard(tmp_path)
    board.epoch({**ENTRY, "auc": None})
    board.end()
    assert "epoch/auc" not in scalars(tmp_path)


def test_a_resumed_run_hides_what_was_drawn_beyond_the_checkpoint(tmp_path: Path) -> None:
    drawn(tmp_path, 1, 9)
    drawn(tmp_path, 5, 7, resumed=True)
    assert scalars(tmp_path)["train/loss"] == [(2, 2.0), (4, 4.0), (6, 6.0)]


def test_a_run_that_went_on_between_two_epochs_begins_with_the_epoch(tmp_path: Path) -> None:
    board = TensorBoard(tmp_path)
    board.begin(**BEGIN, epoch=0, batch=4)
    board.epoch(ENTRY)
    board.end()
    assert scalars(tmp_path)["epoch/auc"] == [(4, 0.7)]


def test_one_board_watches_two_runs(tmp_path: Path) -> None:
    board = TensorBoard(tmp_path, every=1)
    for step in (1, 2):  # a refit begins when the first training has ended
        board.begin(**BEGIN, epoch=0, batch=0)
        board.step(step=step, batch=0, loss=0.5)
        board.end()
    assert scalars(tmp_path)["train/loss"] == [(1, 0.5), (2, 0.5)]


def test_without_tensorboard_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(OptionError, match=r"pip install 'pocketrec\[tensorboard\]'"):
        TensorBoard(tmp_path)


def test_several_watchers_are_told_in_turn(planted: ModuleType) -> None:
    told: list[int] = []
    first, second = (planted.Watch(on_step=lambda step, who=who: told.append(who)) for who in (1, 2))
    both = Watchers([first, Silent(), second])
    both.begin(**BEGIN, epoch=0, batch=2)
    both.step(step=3, batch=3, loss=0.5)
    both.epoch(ENTRY)
    both.end()
    assert told == [1, 2]
    for watch in (first, second):
        assert watch.begun == [{**BEGIN, "epoch": 0, "batch": 2}]
        assert (watch.steps, watch.losses, watch.epochs, watch.ended) == ([3], [0.5], [ENTRY], 1)


def test_candidates_are_told_to_all_and_drawn(planted: ModuleType, tmp_path: Path) -> None:
    seen, board = planted.Watch(), TensorBoard(tmp_path)
    both = Watchers([seen, Silent(), board])
    both.begin_scoring(stage="evolve", candidates=9, rows=60, done=0)
    both.scored(step=4, auc=0.7, best=0.7)
    both.scored(step=5, auc=0.6, best=0.7)
    both.end()
    assert seen.begun == [{"stage": "evolve", "candidates": 9, "rows": 60, "done": 0}]
    assert (seen.steps, seen.scored_aucs) == ([4, 5], [(0.7, 0.7), (0.6, 0.7)])
    assert scalars(tmp_path) == {"search/auc": [(4, 0.7), (5, 0.6)], "search/best_auc": [(4, 0.7), (5, 0.7)]}


def test_a_resumed_search_hides_what_was_drawn_beyond_the_checkpoint(tmp_path: Path) -> None:
    for first, done in ((1, 0), (3, 2)):
        board = TensorBoard(tmp_path)
        board.begin_scoring(stage="evolve", candidates=9, rows=60, done=done)
        for step in range(first, 5):
            board.scored(step=step, auc=step / 10 + done / 100, best=0.5)
        board.end()
    assert scalars(tmp_path)["search/auc"] == [(1, 0.1), (2, 0.2), (3, 0.32), (4, 0.42)]
