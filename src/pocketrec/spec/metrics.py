"""Metrics: how good the predictions of a binary outcome are, as numbers that survive JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["GroupMetrics", "Metrics", "Progressive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """One evaluation. A number is None where it is not defined: most of them need both classes.

    Attributes:
        rows: data rows evaluated.
        positives: rows whose label is 1.
        auc: area under the ROC curve, 0..1, ties counted half; None when one class is missing.
        auc_error: the exact area lies in ``auc`` +- ``auc_error``; 0 when it was computed exactly.
        logloss: mean cross-entropy in nats, 0 or more.
        normalised_entropy: log-loss over that of always predicting the mean label (below 1 is better than that).
        calibration: mean prediction over mean label (1 is right, above 1 predicts too much); None without positives.
        extra: any further measure by its name.
        gauc: AUC within each user who has rows of both classes, averaged with the users' rows (or their weights) as
            weights; None where the rows have no users, or none of them counts.
        user_auc: the same, every user counting once.
        gauc_rows_fraction: rows (or their weights) of the users who count, over all rows, 0..1.
        gauc_users: how many users count.
    """

    rows: int
    positives: int
    auc: float | None
    logloss: float
    normalised_entropy: float | None
    calibration: float | None
    auc_error: float = 0.0
    extra: Mapping[str, float | None] = field(default_factory=dict)
    gauc: float | None = None
    user_auc: float | None = None
    gauc_rows_fraction: float | None = None
    gauc_users: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMetrics:
    """The evaluation of the rows of one group.

    Attributes:
        rows: data rows in the group.
        positives: those whose label is 1.
        auc: area under the ROC curve within the group, 0..1; None when one class is missing.
        auc_error: the exact area lies in ``auc`` +- ``auc_error``.
    """

    rows: int
    positives: int
    auc: float | None
    auc_error: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressive:
    """How good the predictions of training rows were, each made just before the row was learned from.

    Papers: Blum, Kalai, Langford, Beating the Hold-Out: Bounds for K-fold and Progressive Cross-Validation, COLT 1999;
    McMahan et al., Ad Click Prediction: a View from the Trenches, KDD 2013, section 5.

    Attributes:
        rows: data rows.
        logloss: mean cross-entropy in nats of all of them.
        normalised_entropy: log-loss over that of always predicting their mean label; None with one class only.
        calibration: mean prediction over mean label; None without positives.
        curve: (rows so far, log-loss), a point per window of rows that came after each other, over the window's rows.
        rates: mean label of each of these windows: a log-loss that rises may be a rate that does.
        precision: of the products of the dense nets: bfloat16 rounds predictions a little.
    """

    rows: int
    logloss: float
    normalised_entropy: float | None
    calibration: float | None
    curve: tuple[tuple[int, float], ...]
    rates: tuple[float, ...]
    precision: str = "float32"
