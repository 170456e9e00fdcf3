"""Log-loss over the log-loss of always predicting the mean label: below 1 is better than knowing only the mean.

Paper: He et al., Practical Lessons from Predicting Clicks on Ads at Facebook, ADKDD 2014, equation 1.
"""

from __future__ import annotations

import math
from typing import final

from numpy.typing import ArrayLike

from pocketrec.metrics.measure import Metric
from pocketrec.metrics.measures.logloss import LogLoss
from pocketrec.metrics.rows import Rows
from pocketrec.metrics.weighted_count import WeightedCount

__all__ = ["METRIC", "NormalisedEntropy", "normalised_entropy"]


def normalised_entropy(labels: ArrayLike, logits: ArrayLike, weights: ArrayLike | None = None) -> float | None:
    """Log-loss divided by the entropy of the mean label; None when one class is missing.

    >>> normalised_entropy([1, 0], [0.0, 0.0])
    1.0
    """
    measure = NormalisedEntropy()
    measure.update(Rows.checked(labels, logits, weights))
    return measure.value()


@final
class NormalisedEntropy:
    """The running form."""

    def __init__(self) -> None:
        self._logloss = LogLoss()
        self._positive = WeightedCount()
        self._negative = WeightedCount()

    def update(self, rows: Rows) -> None:
        self._logloss.update(rows)
        self._positive.update(rows.labels, rows.weights)
        self._negative.update(~rows.labels, rows.weights)

    def merge(self, other: NormalisedEntropy) -> None:
        self._logloss.merge(other._logloss)
        self._positive.merge(other._positive)
        self._negative.merge(other._negative)

    def value(self) -> float | None:
        positive, negative = self._positive.value, self._negative.value
        loss = self._logloss.value()
        if loss is None or not (positive > 0 and negative > 0):
            return None
        shares = (positive / (positive + negative), negative / (positive + negative))
        return loss / -sum(share * math.log(share) for share in shares)


METRIC = Metric(title="normalised entropy", start=lambda exact_rows: NormalisedEntropy())
