from __future__ import annotations

import dataclasses

import pytest

from pocketrec.metrics.measure import EXACT_ROWS, Metric
from pocketrec.metrics.measures.auc import StreamingAuc


def test_an_entry_is_frozen() -> None:
    metric = Metric(title="AUC", start=StreamingAuc)
    with pytest.raises(dataclasses.FrozenInstanceError):
        metric.title = "other"  # type: ignore[misc]


def test_the_rows_kept_for_an_exact_result_take_few_bytes() -> None:
    assert EXACT_ROWS * 17 < 20_000_000
