"""Evaluate predictions at once, or portion by portion with the same result."""

from __future__ import annotations

from typing import final

from numpy.typing import ArrayLike

from pocketrec.metrics.by_user import StreamingByUser
from pocketrec.metrics.measure import EXACT_ROWS
from pocketrec.metrics.measures.auc import StreamingAuc
from pocketrec.metrics.registry import MEASURES
from pocketrec.metrics.rows import Rows
from pocketrec.spec.errors import DataError
from pocketrec.spec.metrics import Metrics

__all__ = ["StreamingMetrics", "evaluate"]

_FIELDS = ("auc", "logloss", "normalised_entropy", "calibration")


def evaluate(
    labels: ArrayLike, logits: ArrayLike, weights: ArrayLike | None = None, users: ArrayLike | None = None
) -> Metrics:
    """All measures of these rows, exactly.

    Args:
        labels: 0 or 1, [n], n at least 1.
        logits: finite, [n]: the log-odds of label 1, not a probability.
        weights: 0 or more, [n].
        users: int64 [n], whose row each is (negative: nobody's), for AUC within users; None leaves that out.

    Raises:
        DataError: no rows, a label is neither 0 nor 1, or lengths differ.
        NotFinite: a logit is NaN or infinite.
    """
    streaming = StreamingMetrics(exact_rows=len(Rows.checked(labels, logits, weights)))
    streaming.update(labels, logits, weights, users)
    return streaming.result()


@final
class StreamingMetrics:
    """Every measure of the registry, running. Neither order nor portions of the rows change the result.

    Log-loss, normalised entropy and calibration are those of :func:`evaluate` to the last bit. So is AUC up to
    `exact_rows` rows; beyond, it carries the bound `auc_error`, see :class:`StreamingAuc`. AUC within users is always
    exact and keeps all rows, see :class:`StreamingByUser`.

    Args:
        exact_rows: how many rows to keep for an exact AUC (9 bytes each, 17 with weights).
    """

    def __init__(self, exact_rows: int = EXACT_ROWS) -> None:
        self._auc = StreamingAuc(exact_rows)
        self._others = {name: MEASURES.get(name).start(exact_rows) for name in MEASURES.names() if name != "auc"}
        self._users: StreamingByUser | None = None
        self._rows = 0
        self._positives = 0

    def update(
        self, labels: ArrayLike, logits: ArrayLike, weights: ArrayLike | None = None, users: ArrayLike | None = None
    ) -> None:
        """Take a portion; see :func:`evaluate`. A portion that raises leaves everything as it was."""
        rows = Rows.checked(labels, logits, weights)
        if users is not None or self._users is not None:
            self._update_users(rows, users)
        self._rows += len(rows)
        self._positives += int(rows.labels.sum())
        for measure in (self._auc, *self._others.values()):
            measure.update(rows)

    def _update_users(self, rows: Rows, users: ArrayLike | None) -> None:
        if users is None or (self._users is None and self._rows):
            raise DataError(
                "Some portions of the rows say whose they are and some do not; give users with all or none."
            )
        self._users = self._users or StreamingByUser()
        self._users.update(rows, users)

    def merge(self, other: StreamingMetrics) -> None:
        """Take all that `other` has seen (another worker, another file); `other` is left as it was."""
        if (self._users is None) != (other._users is None) and self._rows and other._rows:
            raise DataError("Only one of the two evaluations says whose rows it saw; give users to both or to none.")
        if other._users is not None:
            self._users = self._users or StreamingByUser()
            self._users.merge(other._users)
        self._auc.merge(other._auc)
        for name, measure in self._others.items():
            measure.merge(other._others[name])
        self._rows += other._rows
        self._positives += other._positives

    def result(self) -> Metrics:
        """The measures of all rows so far; DataError when there are none."""
        values = {name: measure.value() for name, measure in self._others.items()}
        logloss = values["logloss"]
        if logloss is None:
            raise DataError(f"There is nothing to evaluate: {self._rows:,} rows, none of them with a weight above 0.")
        area, within = self._auc.area(), None if self._users is None else self._users.area()
        return Metrics(
            rows=self._rows,
            positives=self._positives,
            auc=area.auc,
            auc_error=area.error,
            logloss=logloss,
            normalised_entropy=values["normalised_entropy"],
            calibration=values["calibration"],
            extra={name: value for name, value in values.items() if name not in _FIELDS},
            gauc=None if within is None else within.gauc,
            user_auc=None if within is None else within.user_auc,
            gauc_rows_fraction=None if within is None else within.rows_fraction,
            gauc_users=None if within is None else within.users,
        )
