"""Mean prediction over mean label: 1 is right, 1.1 predicts a tenth too many clicks."""

from __future__ import annotations

from typing import final

import numpy as np
from numpy.typing import ArrayLike

from pocketrec.metrics.exact_sum import ExactSum
from pocketrec.metrics.measure import Metric
from pocketrec.metrics.rows import Floats, Rows
from pocketrec.metrics.weighted_count import WeightedCount

__all__ = ["METRIC", "Calibration", "calibration", "predictions"]


def calibration(labels: ArrayLike, logits: ArrayLike, weights: ArrayLike | None = None) -> float | None:
    """Sum of predicted probabilities over sum of labels; None when no label is 1.

    >>> calibration([1, 0, 0, 1], [0.0, 0.0, 0.0, 0.0])
    1.0
    """
    measure = Calibration()
    measure.update(Rows.checked(labels, logits, weights))
    return measure.value()


def predictions(logits: Floats) -> Floats:
    """Probabilities, float64 [n] in 0..1; small ones keep all their digits."""
    return np.exp(-np.logaddexp(0.0, -logits))


@final
class Calibration:
    """The running form. The sum of predictions is exact, so the order of rows does not matter."""

    def __init__(self) -> None:
        self._predicted = ExactSum()
        self._positive = WeightedCount()

    def update(self, rows: Rows) -> None:
        predicted = predictions(rows.logits)
        self._predicted.update(predicted if rows.weights is None else predicted * rows.weights)
        self._positive.update(rows.labels, rows.weights)

    def merge(self, other: Calibration) -> None:
        self._predicted.merge(other._predicted)
        self._positive.merge(other._positive)

    def value(self) -> float | None:
        positive = self._positive.value
        return self._predicted.value / positive if positive > 0 else None


METRIC = Metric(title="calibration", start=lambda exact_rows: Calibration())
