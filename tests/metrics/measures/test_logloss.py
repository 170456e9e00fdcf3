from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import log_loss

from pocketrec.metrics.measures.logloss import logloss
from pocketrec.spec.errors import DataError


def test_worked_by_hand() -> None:
    # Odds 3:1 for the first row, 1:1 for the second.
    assert logloss([1, 0], [math.log(3), 0.0]) == pytest.approx((math.log(4 / 3) + math.log(2)) / 2, rel=1e-15)
    assert logloss([1, 0], [math.log(3), 0.0], [3.0, 1.0]) == pytest.approx(
        (3 * math.log(4 / 3) + math.log(2)) / 4, rel=1e-15
    )


def test_equals_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    logits, weights = generator.normal(size=3000), generator.exponential(size=3000)
    labels = generator.random(3000) < 0.3
    chance = 1 / (1 + np.exp(-logits))
    assert logloss(labels, logits) == pytest.approx(log_loss(labels, chance), rel=1e-12)
    assert logloss(labels, logits, weights) == pytest.approx(log_loss(labels, chance, sample_weight=weights), rel=1e-12)


def test_large_logits_neither_overflow_nor_vanish() -> None:
    assert logloss([0, 1], [1e38, -1e38]) == 1e38
    assert logloss([1], [800.0]) == 0.0
    assert logloss([1], [40.0]) == pytest.approx(math.exp(-40), rel=1e-12)


def test_no_rows_are_refused() -> None:
    with pytest.raises(DataError, match="no row"):
        logloss([], [])
    with pytest.raises(DataError, match="weight above 0"):
        logloss([1], [0.0], [0.0])
