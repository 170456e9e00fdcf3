"""How often a row of label 1 scores above a row of label 0: the area under the ROC curve, ties counted half."""

from __future__ import annotations

from typing import NamedTuple, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pocketrec.metrics.measure import EXACT_ROWS, Metric
from pocketrec.metrics.rows import Floats, Rows
from pocketrec.spec.errors import OptionError

__all__ = ["METRIC", "Area", "StreamingAuc", "auc"]

# A bucket is the sign, the 8 exponent bits and the 11 leading fraction bits of a float32 score: two scores share one
# only if they differ by less than 1/2048 of the larger (16.8 MB of float64 counts for both classes).
_BUCKET_BITS = 20


class Area(NamedTuple):
    """An area under the ROC curve.

    Attributes:
        auc: 0..1, or None when one class is missing.
        error: the exact area lies in auc +- error; 0 when it was computed exactly.
    """

    auc: float | None
    error: float


def auc(labels: ArrayLike, logits: ArrayLike, weights: ArrayLike | None = None) -> float | None:
    """The exact area; None when one class is missing.

    Any score that rises with the probability will do. Prefer logits: probabilities round to 1 and so make ties.

    Args:
        labels: 0 or 1, [n].
        logits: finite, [n].
        weights: 0 or more, [n]; a pair of rows then counts by the product of its weights.

    >>> auc([0, 1, 0, 1], [0.1, 0.4, 0.4, 0.8])
    0.875
    """
    return _area(*_by_score(Rows.checked(labels, logits, weights))).auc


@final
class StreamingAuc:
    """The running, mergeable form: exact for few rows, bucketed with a known error for many.

    Up to `exact_rows` rows are kept as they are. Beyond, scores fall into 2^20 buckets that follow the order of the
    numbers, and rows of one bucket count as ties. A pair within a bucket truly counts between 0 and 1 where we count a
    half, so the area is off by at most half the share of such pairs: this bound comes with each result. Which of the
    two forms is used depends on the number of rows alone, never on their order or on how they were portioned. (Sums of
    weights in a bucket are rounded: with weights, orders agree to about 1e-15 there.)

    Args:
        exact_rows: how many rows to keep (9 bytes each, 17 with weights), 0 or more.
    """

    def __init__(self, exact_rows: int = EXACT_ROWS) -> None:
        if exact_rows < 0:
            raise OptionError(f"exact_rows must be 0 or more, got {exact_rows}.")
        self._exact_rows = exact_rows
        self._rows = 0
        self._kept: list[Rows] = []
        self._kept_rows = 0
        self._counts: Floats | None = None  # [2, buckets]: label 0, label 1

    def update(self, rows: Rows) -> None:
        """Take a portion of rows."""
        self._rows += len(rows)
        self._kept.append(rows)
        self._kept_rows += len(rows)
        if self._kept_rows > self._exact_rows:
            self._count()

    def merge(self, other: StreamingAuc) -> None:
        """Take all that `other` has seen; `other` is left as it was. Both must have the same `exact_rows`."""
        if other._exact_rows != self._exact_rows:
            raise OptionError(
                f"Cannot merge AUCs with exact_rows {self._exact_rows:,} and {other._exact_rows:,}; make them equal."
            )
        kept, counted_rows = tuple(other._kept), other._rows - other._kept_rows
        if other._counts is not None:
            self._counts = other._counts.copy() if self._counts is None else self._counts + other._counts
        self._rows += counted_rows
        for rows in kept:
            self.update(rows)

    def area(self) -> Area:
        """The area of all rows so far, and how far it may be off."""
        if self._rows <= self._exact_rows:
            self._kept = [_joined(self._kept)]
            return _area(*_by_score(self._kept[0]))
        counts = self._count()
        negative, positive = counts
        pairs = negative.sum() * positive.sum()
        error = float((negative * positive).sum() / (2 * pairs)) if pairs > 0 else 0.0
        return Area(_area(negative, positive).auc, error)

    def value(self) -> float | None:
        return self.area().auc

    def _count(self) -> Floats:
        """Move the kept rows into buckets."""
        buckets = 1 << _BUCKET_BITS
        counts = self._counts if self._counts is not None else np.zeros((2, buckets))
        if self._kept:
            rows = _joined(self._kept)
            place = _bucket(rows.logits) + buckets * rows.labels
            counts += np.bincount(place, weights=rows.weights, minlength=2 * buckets).reshape(2, buckets)
        self._counts, self._kept, self._kept_rows = counts, [], 0
        return counts


def _by_score(rows: Rows) -> tuple[Floats, Floats]:
    """Weight of label 0 and of label 1 at each distinct score, by rising score; both float64 [distinct]."""
    if not len(rows):
        return np.zeros(0), np.zeros(0)
    if rows.weights is None:
        order, weights = np.argsort(rows.logits), np.ones(len(rows))
    else:
        # Rows of equal score are ordered too, so that the sums below do not depend on the order of the rows.
        order = np.lexsort((rows.weights, rows.labels, rows.logits))
        weights = rows.weights[order]
    scores, labels = rows.logits[order], rows.labels[order]
    starts = np.flatnonzero(np.concatenate(([True], scores[1:] != scores[:-1])))
    return (
        np.add.reduceat(np.where(labels, 0.0, weights), starts),
        np.add.reduceat(np.where(labels, weights, 0.0), starts),
    )


def _area(negative: Floats, positive: Floats) -> Area:
    """The area from the weight of both classes per distinct score (or bucket), by rising score.

    Without weights all terms are multiples of 1/2, so everything up to 10^8 rows is exact but the final division.
    """
    negatives, positives = float(negative.sum()), float(positive.sum())
    if not (negatives > 0 and positives > 0):
        return Area(None, 0.0)
    below = np.cumsum(negative) - negative / 2
    return Area(float((positive * below).sum()) / (positives * negatives), 0.0)


def _bucket(scores: Floats) -> NDArray[np.int64]:
    """Bucket of each finite score, 0 <= bucket < 2^20; a larger score never has a smaller bucket."""
    # -0 and 0 are one number: adding 0 gives them one pattern.
    bits = (scores.astype(np.float32) + np.float32(0)).view(np.uint32)
    # As integers, the patterns of positive floats rise with them; those of negative floats fall: turn them round.
    rising = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return (rising >> np.uint32(32 - _BUCKET_BITS)).astype(np.int64)


def _joined(portions: list[Rows]) -> Rows:
    if len(portions) == 1:
        return portions[0]
    weighted = any(p.weights is not None for p in portions)
    return Rows(
        labels=np.concatenate([np.zeros(0, dtype=np.bool_), *(p.labels for p in portions)]),
        logits=np.concatenate([np.zeros(0), *(p.logits for p in portions)]),
        weights=np.concatenate([np.ones(len(p)) if p.weights is None else p.weights for p in portions])
        if weighted
        else None,
    )


METRIC = Metric(title="AUC", start=StreamingAuc)
