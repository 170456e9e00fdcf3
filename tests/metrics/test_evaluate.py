from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec import metrics
from pocketrec.metrics import Metrics, StreamingMetrics, evaluate
from pocketrec.metrics.measures.auc import auc
from pocketrec.metrics.measures.logloss import logloss
from pocketrec.spec.errors import DataError, NotFinite

LOGITS = st.floats(-60, 60, width=32)
ROWS = st.lists(st.tuples(st.booleans(), LOGITS, st.sampled_from([0.0, 0.3, 1.0, 7.7])), min_size=1, max_size=40)


def test_public_names() -> None:
    assert sorted(metrics.__all__) == [
        "CalibrationBin",
        "GROUPS",
        "GroupMetrics",
        "Metrics",
        "PairedInterval",
        "StreamingAuc",
        "StreamingByFrequency",
        "StreamingByUser",
        "StreamingMetrics",
        "UserArea",
        "auc",
        "auc_standard_error",
        "by_frequency",
        "by_user",
        "calibration",
        "calibration_bins",
        "calibration_error",
        "evaluate",
        "frequency_groups",
        "hanley_mcneil",
        "logloss",
        "normalised_entropy",
        "paired_interval",
    ]
    assert all(callable(getattr(metrics, name)) for name in metrics.__all__ if name != "GROUPS")


def test_importing_metrics_does_not_import_torch() -> None:
    code = "import sys, pocketrec.metrics; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_worked_by_hand() -> None:
    found = evaluate([1, 0, 0, 1], [np.log(3), 0.0, -np.log(3), 0.0])
    assert found.rows == 4
    assert found.positives == 2
    assert found.auc == (2 + 1.5) / 4
    assert found.auc_error == 0.0
    expected = (2 * np.log(4 / 3) + 2 * np.log(2)) / 4
    assert found.logloss == pytest.approx(expected, rel=1e-14)
    assert found.normalised_entropy == pytest.approx(expected / np.log(2), rel=1e-14)
    assert found.calibration == pytest.approx(1.0, rel=1e-14)
    assert set(found.extra) == {"calibration_error"}


@given(ROWS, st.integers(1, 6), st.data())
def test_streaming_equals_evaluating_at_once_to_the_last_bit(rows, portions, data) -> None:
    labels, logits, weights = (np.array(c) for c in zip(*rows, strict=True))
    if not weights.any():
        weights = None
    expected = evaluate(labels, logits, weights)
    streams = [StreamingMetrics(), StreamingMetrics()]
    shuffled = np.array(data.draw(st.permutations(range(len(rows)))))
    for k, part in enumerate(np.array_split(shuffled, portions)):
        streams[k % 2].update(labels[part], logits[part], None if weights is None else weights[part])
    streams[1].merge(streams[0])
    assert streams[1].result() == expected


def test_many_rows_change_auc_only_within_its_bound() -> None:
    generator = np.random.default_rng(5)
    logits = generator.normal(-1, 1, size=3000).astype(np.float32)
    labels = (generator.random(3000) < 0.25).astype(np.float32)
    stream = StreamingMetrics(exact_rows=100)
    for start in range(0, 3000, 70):
        stream.update(labels[start : start + 70], logits[start : start + 70])
    found, exact = stream.result(), evaluate(labels, logits)
    assert 0 < found.auc_error < 1e-3
    assert abs(found.auc - exact.auc) <= found.auc_error
    assert (found.logloss, found.calibration, found.extra) == (exact.logloss, exact.calibration, exact.extra)
    assert exact.auc == auc(labels, logits)
    assert exact.logloss == logloss(labels, logits)


def test_users_bring_auc_within_users_and_change_nothing_else() -> None:
    labels, logits, users = [0, 1, 0, 1, 1], [0.1, 0.4, 0.9, 0.2, 0.0], [7, 7, 8, 8, 9]
    found, plain = evaluate(labels, logits, users=users), evaluate(labels, logits)
    assert (found.gauc, found.user_auc, found.gauc_rows_fraction, found.gauc_users) == (0.5, 0.5, 0.8, 2)
    assert (plain.gauc, plain.user_auc, plain.gauc_rows_fraction, plain.gauc_users) == (None,) * 4
    nothing = dict.fromkeys(("gauc", "user_auc", "gauc_rows_fraction", "gauc_users"))
    assert replace(found, **nothing) == plain
    weighted = evaluate(labels, logits, [1, 2, 0.5, 0.5, 1], users)
    assert (weighted.gauc, weighted.gauc_rows_fraction) == (0.75, 0.8)
    streams = [StreamingMetrics(), StreamingMetrics(), StreamingMetrics()]
    for k, part in enumerate((slice(0, 1), slice(1, 5))):
        streams[k].update(labels[part], logits[part], users=users[part])
        streams[2].merge(streams[k])
    assert streams[2].result() == found


def test_users_are_given_with_all_rows_or_with_none() -> None:
    for first, second in (([7, 7], None), (None, [7, 7])):
        stream, other = StreamingMetrics(), StreamingMetrics()
        stream.update([0, 1], [0.0, 1.0], users=first)
        before = stream.result()
        with pytest.raises(DataError, match="give users with all or none"):
            stream.update([0, 1], [0.0, 1.0], users=second)
        other.update([0, 1], [0.0, 1.0], users=second)
        with pytest.raises(DataError, match="give users to both or to none"):
            stream.merge(other)
        assert stream.result() == before


def test_a_bad_portion_leaves_everything_as_it_was() -> None:
    stream = StreamingMetrics()
    stream.update([0, 1], [0.0, 1.0])
    before = stream.result()
    with pytest.raises(NotFinite, match="1 of 2 logits"):
        stream.update([0, 1], [0.0, float("nan")])
    with pytest.raises(DataError, match="1 of 2 labels"):
        stream.update([0, 3], [0.0, 1.0])
    assert stream.result() == before


def test_one_class_has_a_log_loss_and_nothing_that_needs_two() -> None:
    found = evaluate([0, 0], [0.0, 1.0])
    assert isinstance(found, Metrics)
    assert (found.auc, found.normalised_entropy, found.calibration) == (None, None, None)
    assert found.logloss > 0


def test_nothing_to_evaluate_is_refused() -> None:
    with pytest.raises(DataError, match="0 rows"):
        StreamingMetrics().result()
    with pytest.raises(DataError, match="1 rows"):
        evaluate([1], [0.0], [0.0])
