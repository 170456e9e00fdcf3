from __future__ import annotations

import dataclasses

import pytest

from pocketrec.spec.metrics import GroupMetrics, Metrics


def test_metrics_are_values() -> None:
    made = [
        Metrics(rows=2, positives=1, auc=0.5, logloss=0.7, normalised_entropy=1.0, calibration=1.0) for _ in range(2)
    ]
    assert made[0] == made[1]
    assert made[0].auc_error == 0.0
    assert made[0].extra == {}
    assert made[0].extra is not made[1].extra
    with pytest.raises(dataclasses.FrozenInstanceError):
        made[0].auc = 1.0  # type: ignore[misc]


def test_group_metrics_are_values() -> None:
    group = GroupMetrics(rows=0, positives=0, auc=None)
    assert group == GroupMetrics(rows=0, positives=0, auc=None, auc_error=0.0)
    assert dataclasses.asdict(group) == {"rows": 0, "positives": 0, "auc": None, "auc_error": 0.0}
