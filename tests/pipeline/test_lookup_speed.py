"""The speed of served look-ups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pocketrec.data.dataset import Dataset
from pocketrec.pipeline import Trained
from pocketrec.pipeline.config import RunConfig
from pocketrec.pipeline.data import open_data
from pocketrec.pipeline.lookup_speed import ns_per_lookup


def dataset_of(log: Any, cache: Any) -> Dataset:
    return open_data(RunConfig(data=(str(log.path),), schema=log.schema.to_json()), cache)


def test_it_is_the_median_round_over_all_ids(fit: Callable[..., Trained], logs: dict[str, Any], cache: Any) -> None:
    trained, dataset = fit(logs["ranks"], budget="4x"), dataset_of(logs["ranks"], cache)
    # six rounds; the first, which does not count, is slow, and so is one of the others
    took = [10**9, 360, 720, 3600, 360, 720]
    times: Iterator[int] = iter([t for ns in took for t in (0, ns)])
    found = ns_per_lookup(trained.recommender.model, dataset, "test", clock=lambda: next(times))
    assert dataset.parts["test"] == 120
    assert found == 720 / (120 * 3)


def test_a_part_without_rows_has_none(fit: Callable[..., Trained], logs: dict[str, Any], cache: Any) -> None:
    trained = fit(logs["ranks"], budget="4x", split={"train": "9/10", "validation": "1/10", "test": "0"})
    assert trained.result.ns_per_lookup is not None, "that of the validation rows"
    empty = open_data(
        RunConfig.from_json(
            {
                "data": [str(logs["ranks"].path)], "schema": logs["ranks"].schema.to_json(),
                "split": {"train": "9/10", "validation": "1/10", "test": "0"},
            }
        ),
        cache,
    )  # fmt: skip
    assert ns_per_lookup(trained.recommender.model, empty, "test") is None


@pytest.mark.parametrize("kind", ["mixed", "no_dense"])
def test_every_run_has_its_times(kind: str, fit: Callable[..., Trained], logs: dict[str, Any]) -> None:
    result = fit(logs[kind], method="hash_rows", budget="3KB").result
    assert result.ms_per_batch is not None
    assert 0 < result.ms_per_batch < 10_000
    assert result.ns_per_lookup is not None
    assert 0 < result.ns_per_lookup < 10**7
