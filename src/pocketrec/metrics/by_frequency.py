"""AUC of rows apart by how often their rarest id was seen in training: where compression hurts first.

Each evaluated row belongs to the group of its rarest id: ``unseen`` when some id never occurs in the training rows,
``torso`` when the rarest one occurs less than `head_count` times, else ``head``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pocketrec.metrics.measure import EXACT_ROWS
from pocketrec.metrics.measures.auc import StreamingAuc
from pocketrec.metrics.rows import Rows
from pocketrec.spec.errors import DataError, IdError, OptionError
from pocketrec.spec.metrics import GroupMetrics

__all__ = ["GROUPS", "HEAD_COUNT", "StreamingByFrequency", "by_frequency", "frequency_groups"]

GROUPS = ("head", "torso", "unseen")
HEAD_COUNT = 100

Counts = Sequence[NDArray[np.int64] | None]


def frequency_groups(ids: ArrayLike, counts: Counts, *, head_count: int = HEAD_COUNT) -> NDArray[np.int64]:
    """The group of each row as an index into :data:`GROUPS`, int64 [n].

    Args:
        ids: int64 [n, fields], 0 or more.
        counts: per field, int64 [rows]: how often each id occurs in the training rows (entry 0, unknown, is 0 there).
            An id at or beyond the end was never seen. None leaves a field out, as for hashed ids, which have no counts.
        head_count: from how many occurrences on an id is frequent, 1 or more.

    Raises:
        OptionError: the fields of `ids` and `counts` do not agree, or there are no counts at all.
        IdError: an id is negative.
    """
    table = np.asarray(ids)
    if table.ndim != 2 or table.shape[1] != len(counts) or table.dtype.kind not in "iu":
        raise OptionError(
            f"ids must be integers of shape [rows, {len(counts)}], one column per entry of counts, "
            f"got {table.dtype} of shape {table.shape}."
        )
    if head_count < 1:
        raise OptionError(f"head_count must be 1 or more, got {head_count}.")
    known = [(column, count) for column, count in zip(table.T, counts, strict=True) if count is not None]
    if not known:
        raise OptionError(
            "No field has counts, so rows cannot be grouped by frequency. Give the counts of one at least."
        )
    rarest = np.full(len(table), np.iinfo(np.int64).max)
    for column, count in known:
        np.minimum(rarest, _seen(column, count), out=rarest)
    return np.where(rarest >= head_count, 0, np.where(rarest > 0, 1, 2))


def by_frequency(
    labels: ArrayLike,
    logits: ArrayLike,
    ids: ArrayLike,
    counts: Counts,
    *,
    weights: ArrayLike | None = None,
    head_count: int = HEAD_COUNT,
) -> dict[str, GroupMetrics]:
    """Rows and exact AUC per group, in the order of :data:`GROUPS`; see :func:`frequency_groups`."""
    streaming = StreamingByFrequency(counts, head_count=head_count, exact_rows=len(np.asarray(labels)))
    streaming.update(labels, logits, ids, weights)
    return streaming.result()


@final
class StreamingByFrequency:
    """The running, mergeable form of :func:`by_frequency`.

    Args:
        counts: see :func:`frequency_groups`; kept by reference.
        head_count: from how many occurrences on an id is frequent.
        exact_rows: how many rows per group to keep for an exact AUC.
    """

    def __init__(self, counts: Counts, *, head_count: int = HEAD_COUNT, exact_rows: int = EXACT_ROWS) -> None:
        self._counts, self._head_count = counts, head_count
        self._areas = {group: StreamingAuc(exact_rows) for group in GROUPS}
        self._rows = dict.fromkeys(GROUPS, 0)
        self._positives = dict.fromkeys(GROUPS, 0)

    def update(self, labels: ArrayLike, logits: ArrayLike, ids: ArrayLike, weights: ArrayLike | None = None) -> None:
        """Take a portion. One that raises leaves everything as it was."""
        rows = Rows.checked(labels, logits, weights)
        groups = frequency_groups(ids, self._counts, head_count=self._head_count)
        if len(groups) != len(rows):
            raise DataError(
                f"There are {len(rows):,} labels but ids for {len(groups):,} rows; give one row of ids each."
            )
        for number, group in enumerate(GROUPS):
            here = groups == number
            self._rows[group] += int(here.sum())
            self._positives[group] += int((here & rows.labels).sum())
            self._areas[group].update(
                Rows(
                    labels=rows.labels[here],
                    logits=rows.logits[here],
                    weights=None if rows.weights is None else rows.weights[here],
                )
            )

    def merge(self, other: StreamingByFrequency) -> None:
        """Take all that `other` has seen, which must have the same counts; `other` is left as it was."""
        if other._head_count != self._head_count:
            raise OptionError(f"Cannot merge groups of head_count {self._head_count} and {other._head_count}.")
        for group in GROUPS:
            self._areas[group].merge(other._areas[group])
            self._rows[group] += other._rows[group]
            self._positives[group] += other._positives[group]

    def result(self) -> dict[str, GroupMetrics]:
        """Rows and AUC per group, in the order of :data:`GROUPS`."""
        result = {}
        for group in GROUPS:
            area = self._areas[group].area()
            result[group] = GroupMetrics(
                rows=self._rows[group], positives=self._positives[group], auc=area.auc, auc_error=area.error
            )
        return result


def _seen(column: NDArray[Any], count: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each id of a column was seen in training, int64 [n]."""
    if len(column) and column.min() < 0:
        first = int((column < 0).argmax())
        raise IdError(f"Ids must be 0 or more, got {column[first]} in row {first} (from 0).")
    inside = column < len(count)
    seen = np.zeros(len(column), dtype=np.int64)
    seen[inside] = count[column[inside]]
    return seen
