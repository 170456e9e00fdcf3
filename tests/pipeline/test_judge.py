"""Judging through the cache and predicting raw rows are the same, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from pocketrec.compress import METHODS
from pocketrec.data.dataset import Dataset
from pocketrec.metrics import by_frequency, evaluate
from pocketrec.models.parts.matmul import serving
from pocketrec.pipeline import Recommender, RunConfig, Trained, load
from pocketrec.pipeline.data import PartSource, open_data, spaces_by_table
from pocketrec.pipeline.judge import judge
from pocketrec.pipeline.portions import SCORE_ROWS
from pocketrec.train import logits_of

CASES = [(method, "ranks") for method in METHODS.names()]
CASES += [("hash_rows", "mixed"), ("robe", "mixed"), ("offline_split", "mixed")]
CASES += [("min_count", "no_dense"), ("min_count", "parquet")]


def dataset_of(log: Any, cache: Any, **settings: Any) -> Dataset:
    asked = {"data": [str(log.path)], "schema": log.schema.to_json(), **settings}
    return open_data(RunConfig.from_json(asked), cache)


def cached(dataset: Dataset, recommender: Recommender) -> PartSource:
    """The test rows of the cache, in the id spaces that the model takes."""
    spaces = spaces_by_table(dataset.schema, recommender.model.bank.id_spaces())
    return PartSource(dataset=dataset, parts=("test",), id_spaces=spaces)


@pytest.mark.parametrize("storage", ["float32", "int8"])
@pytest.mark.parametrize(("method", "kind"), CASES)
def test_raw_rows_are_encoded_and_scored_as_in_the_cache(
    method: str, kind: str, storage: str, runs: Callable[..., Any], logs: dict[str, Any], cache: Any
) -> None:
    log, served = logs[kind], load(runs(method, storage, kind).out)
    source = cached(dataset_of(log, cache), served)
    (batch,) = source.batches(batch_size=SCORE_ROWS, order="time", seed=0, epoch=0, start=0)
    encoded = served.encoder.encode(log.test_rows(), id_spaces=source.id_spaces)
    assert encoded.dense.tobytes() == batch.dense.numpy().tobytes()
    np.testing.assert_array_equal(encoded.ids, as_known(batch.ids.numpy(), served))
    np.testing.assert_array_equal(encoded.label, batch.label.numpy())
    with serving(len(batch.label)):  # products as both ways take them, which differs between machines in the last bit
        labels, logits = logits_of(served.model, source, batch_size=SCORE_ROWS)
    assert len(set(logits.tolist())) > 10
    np.testing.assert_array_equal(served.logits(log.test_rows()), logits)
    np.testing.assert_array_equal(labels, encoded.label)


def as_known(ids: np.ndarray, recommender: Recommender) -> np.ndarray:
    """The cache numbers tokens that the artifact's vocabulary was cut before; to the model they are unknown."""
    known = ids.copy()
    for column, field in enumerate(recommender.encoder.schema.categorical):
        sized = recommender.sizing.of(field.table_name)
        if sized.ids == "rank":
            known[:, column][ids[:, column] > sized.told_apart] = 0
    return known


def test_the_test_rows_hold_what_is_hard(runs: Callable[..., Any], logs: dict[str, Any], cache: Any) -> None:
    """Unseen tokens, missing tokens, missing numbers, folded tokens: else the test above shows little."""
    log, served = logs["ranks"], load(runs("min_count").out)
    frame, trained_rows = log.test_rows(), log.table.slice(0, log.table.num_rows * 8 // 10)
    seen = set(trained_rows["candidate"].to_pylist()) | set(trained_rows["last"].to_pylist())
    assert set(frame["candidate"].to_pylist()) - seen
    assert frame["candidate"].null_count
    assert frame["price"].null_count
    ids = next(iter(cached(dataset_of(log, cache), served).batches(
        batch_size=SCORE_ROWS, order="time", seed=0, epoch=0, start=0
    ))).ids.numpy()  # fmt: skip
    assert (as_known(ids, served) != ids).any()
    assert served.encoder.vocabularies["item"].size == served.sizing.of("item").told_apart > 5


def test_the_judgement_is_of_the_logits_that_are_served(
    runs: Callable[..., Any], logs: dict[str, Any], cache: Any
) -> None:
    run, log = runs("robe"), logs["ranks"]
    dataset, frame = dataset_of(log, cache), log.test_rows()
    metrics, groups = judge(run.trained.recommender.model, dataset, "test", through="train")
    logits = load(run.out).logits(frame)
    labels, weights = frame["click"].to_numpy(), frame["w"].to_numpy()
    assert metrics == run.trained.result.test == evaluate(labels, logits, weights)
    assert metrics != evaluate(labels, logits), "the weights of the rows count"
    (batch,) = dataset.batches(("test",), batch_size=SCORE_ROWS)
    counts = [dataset.counts(f.table_name) for f in dataset.schema.categorical]
    assert groups == by_frequency(labels, logits, batch.ids.numpy(), counts, weights=weights)
    assert groups["unseen"].rows > 0


def test_the_model_is_judged_in_float32_as_it_serves(fit: Callable[..., Trained], logs: dict[str, Any]) -> None:
    trained = fit(logs["no_dense"], budget="2x", train={"epochs": 1, "precision": "bfloat16"})
    frame = logs["no_dense"].test_rows()
    assert trained.result.test == evaluate(frame["click"].to_numpy(), trained.recommender.logits(frame))


def test_counts_of_validation_rows_count_after_a_refit(
    runs: Callable[..., Any], logs: dict[str, Any], cache: Any
) -> None:
    dataset = dataset_of(logs["ranks"], cache, split={"train": "2/10", "validation": "7/10"})
    model = runs("min_count").trained.recommender.model
    before, after = (judge(model, dataset, "test", through=part)[1] for part in ("train", "validation"))
    assert after["unseen"].rows < before["unseen"].rows


def test_a_part_without_rows_has_no_metrics(logs: dict[str, Any], fit: Callable[..., Trained]) -> None:
    shares = {"train": "9/10", "validation": "1/10", "test": "0"}
    result = fit(logs["no_dense"], budget="2x", split=shares, train={"epochs": 1}).result
    assert (result.test, dict(result.by_frequency)) == (None, {})
    assert result.validation is not None


def test_fields_without_counts_have_no_groups(runs: Callable[..., Any], logs: dict[str, Any], cache: Any) -> None:
    from pocketrec.spec.schema import Field, Schema

    hashed = Schema(
        fields=(
            Field(name="click", kind="label"), Field(name="site", kind="categorical", ids="hash63"),
            Field(name="user", kind="categorical", ids="hash63"),
        )
    )  # fmt: skip
    from pocketrec.pipeline import train

    trained = train(
        logs["ranks"].path, schema=hashed, method="robe", budget=400, dim=4, cache=cache,
        model={"bottom": [4], "top": [4]}, train={"epochs": 1},
    )  # fmt: skip
    assert dict(trained.result.by_frequency) == {}
    assert trained.result.test.rows == 120
    assert torch.is_inference_mode_enabled() is False
