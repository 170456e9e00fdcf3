"""Both sides get the same weights and rows, and differ where something else does."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SPLIT = (400, 200, 200)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """benchmarks/auc_against_reference.py."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("auc_against_reference")


@pytest.fixture
def made(bench: Any, tmp_path: Path) -> tuple[Any, Any]:
    """A run on synthetic rows, and its data."""
    path, rows = bench.log_of({"rows": 800}, tmp_path)
    assert rows == SPLIT
    config = bench.config_of(path, rows, 1, batch=50, rate=0.5, epochs=2)
    return config, bench.open_data(config, tmp_path / "cache")


def test_without_the_log_every_contestant_is_told_to_be_missing(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRITEO_SAMPLE", raising=False)
    measure = importlib.import_module("measure")
    run = measure.Run(case=bench.CLAIM.cases[0], effort=measure.Effort())
    bench.CLAIM.measure(run)
    assert run.found == {}
    assert set(run.missing) == {"reference", "pocketrec", "pocketrec bfloat16"}
    assert "CRITEO_SAMPLE" in run.missing["pocketrec"]


def test_every_epoch_deals_all_training_rows_in_an_order_of_the_seed(bench: Any, made: tuple[Any, Any]) -> None:
    config, dataset = made

    def dense(one: Any) -> list[torch.Tensor]:
        return [torch.cat([batch.dense for batch in batches]) for batches in one.epochs]

    def as_set(rows: torch.Tensor) -> list[list[float]]:
        return sorted(rows.tolist())

    first, second = dense(bench.deal(config, dataset))
    in_time = torch.cat([batch.dense for batch in bench.rows_of(dataset, "train", batch=64)])
    assert len(first) == SPLIT[0]
    assert as_set(first) == as_set(second) == as_set(in_time)
    assert not torch.equal(first, second)
    assert not torch.equal(first, dense(bench.deal(replace(config, seed=2), dataset))[0])
    assert torch.equal(first, dense(bench.deal(config, dataset))[0])


def test_ids_of_later_rows_are_unknown_to_plain_torch(bench: Any, made: tuple[Any, Any]) -> None:
    _, dataset = made
    sizes = torch.tensor([table.rows for table in dataset.table_specs(16)])
    raw = torch.cat([batch.ids for batch in dataset.batches(("test",), batch_size=64)])
    mapped = torch.cat([batch.ids for batch in bench.rows_of(dataset, "test", batch=64)])
    new = raw >= sizes
    assert new.any(), "else this tests nothing"
    assert bool((mapped[new] == 0).all())
    assert torch.equal(mapped[~new], raw[~new])


def test_both_begin_alike_and_whoever_does_not_is_refused(
    bench: Any, made: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, dataset = made
    assert bench.check(config, dataset) <= 1e-5
    other = bench.reference_of(bench.starting(replace(config, seed=2), dataset))
    monkeypatch.setattr(bench, "reference_of", lambda model: other)
    with pytest.raises(AssertionError, match="begin with logits that differ"):
        bench.check(config, dataset)


@pytest.mark.slow
def test_both_learn_the_same_from_the_same_rows(bench: Any, made: tuple[Any, Any]) -> None:
    config, dataset = made
    dealt = bench.deal(config, dataset)
    theirs = bench.reference(config, dataset, dealt)
    # a pair of rows whose order changes moves the AUC of 200 rows by 1e-4
    assert bench.ours(config, dataset, dealt, "float32") == pytest.approx(theirs, abs=5e-4)
    untrained = bench.area(bench.starting(config, dataset), bench.rows_of(dataset, "test", batch=64))
    slower = replace(config, train=replace(config.train, dense_lr=config.train.dense_lr / 2))
    for other in (untrained, bench.ours(slower, dataset, dealt, "float32")):
        assert abs(other - theirs) > 2e-3, "the AUC would not tell"


def test_logits_that_are_not_finite_score_nothing(bench: Any, made: tuple[Any, Any]) -> None:
    config, dataset = made
    model = bench.reference_of(bench.starting(config, dataset))
    rows = bench.rows_of(dataset, "validation", batch=64)
    assert 0 < bench.area(model, rows) < 1
    with torch.no_grad():
        model.top[0].bias[0] = torch.nan
    assert bench.area(model, rows) == 0


def test_a_rounding_moves_half_of_the_weights_by_next_to_nothing(bench: Any, made: tuple[Any, Any]) -> None:
    model, moved = (bench.reference_of(bench.starting(*made)) for _ in range(2))
    bench.moved_by_a_rounding(moved)
    for one, other in zip(model.parameters(), moved.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1.2e-7, atol=0)
    first, second = model.top[0].weight, moved.top[0].weight
    assert 0.4 < float((first != second).float().mean()) < 0.6
