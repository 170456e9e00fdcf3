"""How far predictions are from what happened, bin by bin of the prediction.

Paper: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 3 (expected calibration error), here
for the probability of label 1, as is usual for clicks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from pocketrec.metrics.exact_sum import ExactSum
from pocketrec.metrics.measure import Metric
from pocketrec.metrics.measures.calibration import predictions
from pocketrec.metrics.rows import Rows
from pocketrec.metrics.weighted_count import WeightedCount

__all__ = ["BINS", "METRIC", "CalibrationBin", "CalibrationError", "calibration_bins", "calibration_error"]

# The paper's number of bins, all equally wide.
BINS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBin:
    """The rows whose prediction falls into one bin.

    Attributes:
        low: lower edge, 0..1; the bin holds low <= prediction < high (the last one its upper edge too).
        high: upper edge, 0..1.
        weight: rows in the bin, or the sum of their weights.
        predicted: mean prediction in the bin.
        observed: mean label in the bin.
    """

    low: float
    high: float
    weight: float
    predicted: float
    observed: float


def calibration_bins(
    labels: ArrayLike, logits: ArrayLike, weights: ArrayLike | None = None
) -> tuple[CalibrationBin, ...]:
    """The bins that hold any row, by rising prediction: what a reliability diagram draws."""
    measure = CalibrationError()
    measure.update(Rows.checked(labels, logits, weights))
    return measure.bins()


def calibration_error(labels: ArrayLike, logits: ArrayLike, weights: ArrayLike | None = None) -> float | None:
    """Mean distance of mean prediction and mean label over the bins, 0..1; None without rows.

    >>> calibration_error([1, 0], [0.0, 0.0])
    0.0
    """
    measure = CalibrationError()
    measure.update(Rows.checked(labels, logits, weights))
    return measure.value()


@final
class CalibrationError:
    """The running form. All sums are exact, so the order of rows does not matter."""

    def __init__(self) -> None:
        self._predicted = [ExactSum() for _ in range(BINS)]
        self._positive = [WeightedCount() for _ in range(BINS)]
        self._weight = [WeightedCount() for _ in range(BINS)]

    def update(self, rows: Rows) -> None:
        predicted = predictions(rows.logits)
        weighted = predicted if rows.weights is None else predicted * rows.weights
        place = np.minimum((predicted * BINS).astype(np.int64), BINS - 1)
        for k in np.unique(place).tolist():
            here = place == k
            self._predicted[k].update(weighted[here])
            self._positive[k].update(here & rows.labels, rows.weights)
            self._weight[k].update(here, rows.weights)

    def merge(self, other: CalibrationError) -> None:
        for k in range(BINS):
            self._predicted[k].merge(other._predicted[k])
            self._positive[k].merge(other._positive[k])
            self._weight[k].merge(other._weight[k])

    def bins(self) -> tuple[CalibrationBin, ...]:
        """The bins that hold any weight, by rising prediction."""
        return tuple(
            CalibrationBin(
                low=k / BINS,
                high=(k + 1) / BINS,
                weight=weight,
                predicted=self._predicted[k].value / weight,
                observed=self._positive[k].value / weight,
            )
            for k in range(BINS)
            if (weight := self._weight[k].value) > 0
        )

    def value(self) -> float | None:
        bins = self.bins()
        total = sum(b.weight for b in bins)
        return sum(b.weight * abs(b.predicted - b.observed) for b in bins) / total if bins else None


METRIC = Metric(title="calibration error", start=lambda exact_rows: CalibrationError())
