"""Scores over a source: in file order, nothing learned, the mode put back."""

from __future__ import annotations

import dataclasses
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from pocketrec.compress import build
from pocketrec.spec.errors import IdError
from pocketrec.train import logits_of, scores_of


@pytest.fixture
def model(planted: ModuleType) -> torch.nn.Module:
    made: torch.nn.Module = planted.make_model(build(planted.sizing(), seed=0))
    return made


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_scores_are_those_of_one_call_in_file_order(
    planted: ModuleType, model: torch.nn.Module, batch_size: int
) -> None:
    source = planted.Source(rows=planted.clicks(65, seed=2))
    found = scores_of(model, source, batch_size=batch_size)
    with torch.no_grad():
        expected = model(source.rows.dense, source.rows.ids)
    np.testing.assert_allclose(found.logits, expected.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found.labels, source.rows.label.numpy())
    assert found.weights is None
    assert found.logits.dtype == found.labels.dtype == np.float32
    assert source.asked == [{"order": "time", "seed": 0, "epoch": 0, "start": 0, "batch_size": batch_size}]


def test_weights_come_along(planted: ModuleType, model: torch.nn.Module) -> None:
    source = planted.Source(rows=planted.clicks(20, seed=2, weights=True))
    found = scores_of(model, source, batch_size=6)
    assert found.weights is not None
    np.testing.assert_array_equal(found.weights, source.rows.weight.numpy())


def test_no_rows_give_empty_scores(planted: ModuleType, model: torch.nn.Module) -> None:
    found = scores_of(model, planted.Source(rows=planted.clicks(0, seed=2)), batch_size=8)
    assert (len(found.labels), len(found.logits), found.weights) == (0, 0, None)


def test_labels_and_logits_alone(planted: ModuleType, model: torch.nn.Module) -> None:
    source = planted.Source(rows=planted.clicks(20, seed=2, weights=True))
    labels, logits = logits_of(model, source, batch_size=6)
    found = scores_of(model, source, batch_size=6)
    np.testing.assert_array_equal(labels, found.labels)
    np.testing.assert_array_equal(logits, found.logits)


@pytest.mark.parametrize("training", [True, False])
def test_nothing_is_learned_and_the_mode_is_put_back(
    planted: ModuleType, model: torch.nn.Module, training: bool
) -> None:
    model.train(training)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    scores_of(model, planted.Source(rows=planted.clicks(20, seed=2)), batch_size=6)
    assert model.training is training
    assert not model.bank._tapes, "a lookup was remembered for a backward that never comes"
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    rows = planted.clicks(4, seed=2)
    rows.ids[0, 0] = -7
    with pytest.raises(IdError):
        scores_of(model, planted.Source(rows=rows), batch_size=6)
    assert model.training is training


def test_bfloat16_is_used_when_asked(planted: ModuleType, model: torch.nn.Module) -> None:
    source = planted.Source(rows=planted.clicks(200, seed=2))
    half, full = (scores_of(model, source, batch_size=64, precision=p).logits for p in ("bfloat16", "float32"))
    assert not np.array_equal(half, full)
    np.testing.assert_allclose(half, full, rtol=0.1, atol=0.02)


def test_bags_of_one_score_as_single_ids_and_factors_count(planted: Any) -> None:
    rows = planted.clicks(40, seed=1)
    bags = planted.Rows(
        dense=rows.dense, ids=rows.ids.T.reshape(-1), label=rows.label,
        offsets=torch.arange(rows.ids.numel() + 1), value_weights=torch.ones(rows.ids.numel()),
    )  # fmt: skip
    halved = dataclasses.replace(bags, value_weights=torch.full((rows.ids.numel(),), 0.5))
    model = planted.make_model(build(planted.sizing(), seed=1))
    found = []
    for each in (rows, bags, halved):
        source = OneBatch(each)
        found.append(scores_of(model, source, batch_size=40).logits)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
    assert not np.allclose(found[0], found[2])


class OneBatch:
    """All rows as one batch."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def batch_count(self, batch_size: int) -> int:
        return 1

    def batches(self, **_: Any) -> Any:
        yield self.rows


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_the_first_rows_alone_are_scored_when_asked(
    planted: ModuleType, model: torch.nn.Module, batch_size: int
) -> None:
    source = planted.Source(rows=planted.clicks(65, seed=2, weights=True))
    whole = scores_of(model, source, batch_size=batch_size)
    for most, rows in ((20, 20), (64, 64), (65, 65), (1000, 65)):
        some = scores_of(model, source, batch_size=batch_size, most_rows=most)
        np.testing.assert_array_equal(some.logits, whole.logits[:rows])
        np.testing.assert_array_equal(some.labels, whole.labels[:rows])
        assert some.weights is not None
        assert whole.weights is not None
        np.testing.assert_array_equal(some.weights, whole.weights[:rows])
