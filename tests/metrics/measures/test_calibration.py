from __future__ import annotations

import math

import numpy as np
import pytest

from pocketrec.metrics.measures.calibration import calibration, predictions


def test_worked_by_hand() -> None:
    # Predictions 3/4 and 1/4, one click: exactly as many as predicted.
    assert calibration([1, 0], [math.log(3), -math.log(3)]) == pytest.approx(1.0, rel=1e-15)
    assert calibration([1, 0, 1], [math.log(3)] * 3, [1.0, 2.0, 1.0]) == pytest.approx(3 / 2, rel=1e-15)


def test_needs_a_positive() -> None:
    assert calibration([0, 0], [0.0, 0.0]) is None
    assert calibration([1], [0.0], [0.0]) is None


def test_predictions_keep_their_digits_at_both_ends() -> None:
    logits = np.array([-700.0, -40.0, 0.0, 40.0, 3e38, -3e38])
    expected = [math.exp(-700), math.exp(-40), 0.5, 1.0, 1.0, 0.0]
    assert predictions(logits).tolist() == pytest.approx(expected, rel=1e-12, abs=0)
