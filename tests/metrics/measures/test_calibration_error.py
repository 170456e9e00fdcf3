from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from pocketrec.metrics.measures.calibration_error import BINS, calibration_bins, calibration_error


def test_worked_by_hand() -> None:
    # Three rows at 3/4 of which two are clicks, one row at 1/4 that is none: distances 1/12 and 1/4, weights 3 and 1.
    logits = [math.log(3)] * 3 + [-math.log(3)]
    assert calibration_error([1, 1, 0, 0], logits) == pytest.approx((3 / 12 + 1 / 4) / 4, rel=1e-12)
    # The same rows, one of them as a weight.
    assert calibration_error([1, 0, 0], [logits[0], logits[0], logits[3]], [2.0, 1.0, 1.0]) == pytest.approx(
        (3 / 12 + 1 / 4) / 4, rel=1e-12
    )


def test_bins_equal_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(2)
    logits = generator.normal(-1, 2, size=4000)
    labels = generator.random(4000) < 1 / (1 + np.exp(-logits))
    bins = calibration_bins(labels, logits)
    observed, predicted = calibration_curve(labels, 1 / (1 + np.exp(-logits)), n_bins=BINS)
    assert [b.observed for b in bins] == pytest.approx(observed.tolist(), rel=1e-12)
    assert [b.predicted for b in bins] == pytest.approx(predicted.tolist(), rel=1e-12)
    assert sum(b.weight for b in bins) == 4000
    assert all(b.low <= b.predicted <= b.high for b in bins)


def test_the_ends_of_the_range_have_bins() -> None:
    bins = calibration_bins([0, 1], [-1e30, 1e30])
    assert [(b.low, b.high) for b in bins] == [(0.0, 1 / BINS), ((BINS - 1) / BINS, 1.0)]


def test_no_rows_have_no_error() -> None:
    assert calibration_error([], []) is None
    assert calibration_bins([1], [0.0], [0.0]) == ()
