"""Rows are predicted before they are learned from, in the first epoch of the last stage, and counted exactly."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from pocketrec.metrics import evaluate
from pocketrec.spec.metrics import Progressive
from pocketrec.spec.stage import Stage
from pocketrec.train import progressive as module
from pocketrec.train import trainer as loop
from pocketrec.train.progressive import WINDOWS, add_batch, progressive_json, progressive_of


def batches(planted: ModuleType, count: int, rows: int = 7, *, weights: bool = False) -> list[Any]:
    """Batches with logits; the last one is shorter."""
    log = planted.clicks(count * rows - 3, seed=1, weights=weights)
    cut = [log.pick(torch.arange(k * rows, min((k + 1) * rows, len(log.label)))) for k in range(count)]
    draw = torch.Generator().manual_seed(4)
    return [(batch, torch.randn(len(batch.label), generator=draw)) for batch in cut]


def counted(given: list[Any]) -> dict[str, Any]:
    windows: list[list[float]] = []
    for number, (batch, logits) in enumerate(given):
        add_batch(windows, batch, logits, number=number, count=len(given))
        windows = json.loads(json.dumps(windows))  # as a checkpoint would bring them back
    found = progressive_json(windows, rows=sum(len(b.label) for b, _ in given), precision="float32")
    assert found is not None
    return found


def joined(given: list[Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    parts = [(b.label, z, b.weight) for b, z in given]
    labels, logits = (torch.cat([p[k] for p in parts]).numpy() for k in (0, 1))
    return labels, logits, None if parts[0][2] is None else torch.cat([p[2] for p in parts]).numpy()


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("count", [1, 5, 200, 333, 401])
def test_all_rows_are_counted_as_evaluating_them_at_once_would(planted: ModuleType, count: int, weights: bool) -> None:
    given = batches(planted, count, weights=weights)
    found, expected = counted(given), evaluate(*joined(given))
    assert found["rows"] == expected.rows
    for name in ("logloss", "normalised_entropy", "calibration"):
        assert found[name] == pytest.approx(getattr(expected, name), rel=1e-12)
    assert len(found["curve"]) == len(found["rates"]) == min(count, WINDOWS)
    labels, logits, weight = joined(given)
    start = 0
    for (end, logloss), rate in zip(found["curve"], found["rates"], strict=True):
        here = slice(start, end)
        w = None if weight is None else weight[here].astype(np.float64)
        assert logloss == pytest.approx(evaluate(labels[here], logits[here], w).logloss, rel=1e-12)
        assert rate == pytest.approx(np.average(labels[here], weights=w), rel=1e-12)
        start = end
    assert start == expected.rows
    sizes = np.diff([0, *(end for end, _ in found["curve"])])
    assert sizes.max() <= -(-count // WINDOWS) * 7


def test_windows_of_no_weight_are_left_out_of_the_curve(planted: ModuleType) -> None:
    given = batches(planted, 3, weights=True)
    given[1][0].weight.fill_(0)
    found = counted(given)
    assert [rows for rows, _ in found["curve"]] == [7, 18]
    assert len(found["rates"]) == 2
    given[0][0].weight.fill_(0)
    given[2][0].weight.fill_(0)
    windows: list[list[float]] = []
    for number, (batch, logits) in enumerate(given):
        add_batch(windows, batch, logits, number=number, count=3)
    assert progressive_json(windows, rows=18, precision="float32") is None


def test_one_class_has_a_log_loss_and_nothing_that_needs_two(planted: ModuleType) -> None:
    given = batches(planted, 2)
    for batch, _ in given:
        batch.label.fill_(0)
    found = counted(given)
    assert (found["normalised_entropy"], found["calibration"], found["rates"]) == (None, None, [0.0, 0.0])
    assert found["logloss"] > 0


def test_an_epoch_that_was_not_counted_from_its_start_tells_nothing(planted: ModuleType) -> None:
    """As when a checkpoint of an older version goes on in the middle of its first epoch."""
    windows: list[list[float]] = []
    given = batches(planted, 4)
    for number, (batch, logits) in list(enumerate(given))[2:]:
        add_batch(windows, batch, logits, number=number, count=4)
    assert progressive_json(windows, rows=25, precision="float32") is None
    assert progressive_json([], rows=25, precision="float32") is None
    assert progressive_of([{"epoch": 1}]) is None


# -- in the loop -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["time", "shuffle"])
def test_the_trainer_counts_what_it_predicted_before_each_step(
    planted: ModuleType, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    real = module.add_batch

    def note(windows: Any, batch: Any, logits: Any, **where: int) -> None:
        seen.append((batch, logits.clone()))
        real(windows, batch, logits, **where)

    monkeypatch.setattr(loop, "add_batch", note)
    trainer = planted.trainer(config={"order": order, "epochs": 3, "patience": None})
    before: list[Any] = []

    def predict_the_next(step: int) -> None:
        """What the model says of the next batch of the first epoch, now that a step was made."""
        if step < 12:
            before.append(trainer.model(given[step].dense, given[step].ids).detach())

    given = list(trainer.data.train.batches(batch_size=50, order=order, seed=3, epoch=0, start=0))
    trainer.watcher = planted.Watch(on_step=predict_the_next)
    outcome = trainer.run()
    assert len(seen) == 12, "the first epoch alone"
    for (batch, logits), expected, ours in zip(seen[1:], before, given[1:], strict=True):
        assert torch.equal(batch.ids, ours.ids)
        torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-6)
    expected = evaluate(*joined(seen))
    assert isinstance(outcome.progressive, Progressive)
    assert outcome.progressive.logloss == pytest.approx(expected.logloss, rel=1e-12)
    assert outcome.progressive.curve[-1][0] == outcome.progressive.rows == 600
    assert outcome.progressive.logloss == pytest.approx(outcome.history[0]["train_loss"], rel=1e-6)
    assert ["progressive" in entry for entry in outcome.history] == [True, False, False]
    assert json.loads(json.dumps(outcome.history, allow_nan=False)) == outcome.history
    assert trainer.state.progressive == []


def test_of_several_stages_the_last_one_counts(planted: ModuleType) -> None:
    trainer = planted.trainer(config={"epochs": 2, "patience": None})
    (stage, sizing) = trainer.stages[0]
    trainer.stages = [(Stage(name="before", epochs=1), sizing), (replace(stage, name="last"), sizing)]
    outcome = trainer.run()
    assert [(e["stage"], "progressive" in e) for e in outcome.history] == [
        ("before", False), ("last", True), ("last", False)
    ]  # fmt: skip
    assert outcome.progressive is not None


def test_bfloat16_is_noted(planted: ModuleType) -> None:
    outcome = planted.trainer(config={"epochs": 1, "precision": "bfloat16"}).run()
    assert outcome.progressive is not None
    assert outcome.progressive.precision == "bfloat16"


def test_a_resume_in_the_middle_of_the_first_epoch_ends_with_the_same_curve(
    planted: ModuleType, tmp_path: Path
) -> None:
    settings = {"epochs": 2, "checkpoint_steps": 5, "patience": None}
    whole = planted.trainer(given=planted.data(weights=True), config=settings).run()

    class Stopped(Exception):
        pass

    def stop(step: int) -> None:
        if step == 8:
            raise Stopped

    broken = planted.trainer(given=planted.data(weights=True), config=settings, folder=tmp_path)
    broken.watcher = planted.Watch(on_step=stop)
    with pytest.raises(Stopped):
        broken.run()
    outcome = planted.trainer(given=planted.data(weights=True), config=settings, folder=tmp_path).run()
    assert "Went on at step 5" in outcome.notes[0]
    assert outcome.progressive == whole.progressive is not None
