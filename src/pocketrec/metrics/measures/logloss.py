"""Mean cross-entropy of the predicted probability, in nats."""

from __future__ import annotations

from typing import final

import numpy as np
from numpy.typing import ArrayLike

from pocketrec.metrics.exact_sum import ExactSum
from pocketrec.metrics.measure import Metric
from pocketrec.metrics.rows import Floats, Rows
from pocketrec.metrics.weighted_count import WeightedCount
from pocketrec.spec.errors import DataError

__all__ = ["METRIC", "LogLoss", "logloss", "row_losses"]


def logloss(labels: ArrayLike, logits: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Mean cross-entropy, straight from the logits: no probability is formed, so none is clipped.

    Args:
        labels: 0 or 1, [n], n at least 1.
        logits: finite, [n].
        weights: 0 or more, [n].

    >>> round(logloss([1, 0], [0.0, 0.0]), 6)
    0.693147
    """
    measure = LogLoss()
    measure.update(Rows.checked(labels, logits, weights))
    value = measure.value()
    if value is None:
        raise DataError("There is no row (of weight above 0) to evaluate.")
    return value


def row_losses(rows: Rows) -> Floats:
    """The cross-entropy of each row, float64 [n]."""
    # -log sigmoid(z) = log(1 + e^-z) for label 1, -log(1 - sigmoid(z)) = log(1 + e^z) for label 0.
    # logaddexp(0, s) = max(s, 0) + log1p(e^-|s|) neither overflows nor loses digits.
    return np.logaddexp(0.0, np.where(rows.labels, -rows.logits, rows.logits))


@final
class LogLoss:
    """The running form. The sum of losses is exact, so the order of rows does not matter."""

    def __init__(self) -> None:
        self._losses = ExactSum()
        self._weight = WeightedCount()

    def update(self, rows: Rows) -> None:
        losses = row_losses(rows)
        self._losses.update(losses if rows.weights is None else losses * rows.weights)
        self._weight.update(np.ones(len(rows), dtype=np.bool_), rows.weights)

    def merge(self, other: LogLoss) -> None:
        self._losses.merge(other._losses)
        self._weight.merge(other._weight)

    def value(self) -> float | None:
        weight = self._weight.value
        return self._losses.value / weight if weight > 0 else None


METRIC = Metric(title="log-loss", start=lambda exact_rows: LogLoss())
