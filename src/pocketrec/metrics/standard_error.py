"""How far chance may have moved an AUC: its standard error over draws of as many rows from the same log."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pocketrec.metrics.rows import Floats, Rows

__all__ = ["auc_standard_error", "hanley_mcneil"]


def auc_standard_error(labels: ArrayLike, logits: ArrayLike, weights: ArrayLike | None = None) -> float | None:
    """Standard error of the AUC of these rows; None unless both classes have two rows (of weight above 0).

    Paper: DeLong et al., Comparing the Areas under Two or More Correlated Receiver Operating Characteristic Curves,
    Biometrics 44, 1988: the variance over positives of the share of negatives that each one beats, over their number,
    plus the same of negatives. With weights both are the variance of a weighted mean.

    Args:
        labels: 0 or 1, [n].
        logits: finite, [n]; ties count half.
        weights: 0 or more, [n].

    >>> round(auc_standard_error([0, 0, 1, 1], [0.1, 0.4, 0.3, 0.8]), 6)
    0.353553
    """
    rows = Rows.checked(labels, logits, weights)
    weight = np.ones(len(rows)) if rows.weights is None else rows.weights
    used = weight > 0
    label, score, weight = rows.labels[used], rows.logits[used], weight[used] / weight.max(initial=0.0, where=used)
    if min(label.sum(), (~label).sum()) < 2:
        return None
    _, place = np.unique(score, return_inverse=True)
    variance = sum(_variance_of_beaten(place, weight, here) for here in (label, ~label))
    return math.sqrt(variance)


def hanley_mcneil(auc: float, positives: float, negatives: float) -> float | None:
    """The same from three numbers alone, for results of which no scores were kept; None without both classes.

    Paper: Hanley and McNeil, The Meaning and Use of the Area under a Receiver Operating Characteristic Curve, Radiology
    143, 1982, equation 2 with Q1 and Q2 of exponential scores. For click logs it is within some tens of percent of
    :func:`auc_standard_error`.

    Args:
        auc: 0..1.
        positives: rows of label 1 (a mean number of them will do).
        negatives: rows of label 0.

    >>> round(hanley_mcneil(0.78, 2_900, 8_855), 4)
    0.0054
    """
    if positives < 1 or negatives < 1:
        return None
    above = auc / (2 - auc) - auc**2
    below = 2 * auc**2 / (1 + auc) - auc**2
    pairs = positives * negatives
    return math.sqrt((auc * (1 - auc) + (positives - 1) * above + (negatives - 1) * below) / pairs)


def _variance_of_beaten(place: NDArray[np.intp], weight: Floats, here: NDArray[np.bool_]) -> float:
    """Variance of the mean, over the rows of one class, of the share of the other class below them (ties half)."""
    others = np.bincount(place[~here], weights=weight[~here], minlength=int(place.max()) + 1)
    below = (np.cumsum(others) - others / 2) / others.sum()
    beaten, mine, count = below[place[here]], weight[here], int(here.sum())
    mean = (mine * beaten).sum() / mine.sum()
    return float((mine**2 * (beaten - mean) ** 2).sum() / mine.sum() ** 2 * count / (count - 1))
