"""AUC within each user, averaged over users: does the model order what one person was shown?

AUC over all rows also pays for knowing who clicks often and what is clicked often; within a user only the order of
that user's own rows counts.

Paper: Zhu et al., Optimized Cost per Click in Taobao Display Advertising, KDD 2017 (arXiv:1703.02091): GAUC, the mean
of the groups' AUCs weighted by their impressions. There a group is a user and a position; here it is a user.
"""

from __future__ import annotations

from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pocketrec.metrics.exact_sum import ExactSum
from pocketrec.metrics.rows import Bools, Floats, Rows
from pocketrec.metrics.weighted_count import WeightedCount
from pocketrec.spec.errors import DataError

__all__ = ["StreamingByUser", "UserArea", "by_user"]

# Rows that are sorted at a time, by whole users: bounds what `area` takes beside the rows that are kept.
_SORTED_ROWS = 1 << 21
# Portions are joined into blocks of about so many rows: many small arrays would cost more than they hold.
_BLOCK_ROWS = 1 << 18
# 2^64 over the golden ratio: multiplication by it spreads keys that are close to each other (Knuth, TAOCP 3, 6.4).
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


class UserArea(NamedTuple):
    """AUC within users. A user counts who has rows of both classes, with weights above 0.

    Attributes:
        gauc: mean of the users' AUCs, each weighted by the user's rows (or their weights); None when no user counts.
        user_auc: the plain mean: every user counts the same.
        rows_fraction: rows (or their weights) of the users who count, over all rows; 0 without rows.
        users: how many users count.
    """

    gauc: float | None
    user_auc: float | None
    rows_fraction: float
    users: int


def by_user(labels: ArrayLike, logits: ArrayLike, users: ArrayLike, weights: ArrayLike | None = None) -> UserArea:
    """AUC within each user, exactly.

    Args:
        labels: 0 or 1, [n].
        logits: finite, [n]; ties within a user count half.
        users: int64 [n], any number that tells users apart; a row of a negative one belongs to nobody, it only counts
            in the rows of `rows_fraction`.
        weights: 0 or more, [n]; a pair of rows then counts by the product of its weights, a user by the sum.

    Raises:
        DataError, NotFinite: as :func:`pocketrec.metrics.evaluate`; or users are not one integer per row.

    >>> by_user([0, 1, 0, 1, 1], [0.1, 0.4, 0.9, 0.2, 0.0], [7, 7, 8, 8, 9])
    UserArea(gauc=0.5, user_auc=0.5, rows_fraction=0.8, users=2)
    """
    streaming = StreamingByUser()
    streaming.update(Rows.checked(labels, logits, weights), users)
    return streaming.area()


class _Block(NamedTuple):
    users: NDArray[np.int64]
    labels: Bools
    logits: NDArray[Any]  # float32 where nothing is lost by it
    weights: NDArray[Any] | None


@final
class StreamingByUser:
    """The running, mergeable form of :func:`by_user`. Neither order nor portions of the rows change the result.

    Without weights a user's AUC is exact but for one division; with weights to about 1e-9 in the worst case.

    All rows are kept: a user's rows may come at any time. A row takes 13 bytes (user 8, logit 4, label 1) where the
    logit is a float32, as those of our models are, else 17; with weights 4 more (8 if they need float64). :meth:`area`
    takes about 130 bytes for each of 2 million rows on top, or of the rows of the largest user if they are more.
    """

    def __init__(self) -> None:
        self._blocks: list[_Block] = []
        self._pending: list[_Block] = []
        self._pending_rows = 0
        self._rows = 0
        self._weight = WeightedCount()

    def update(self, rows: Rows, users: ArrayLike) -> None:
        """Take a portion: checked rows and their users, integers [n]. One that raises leaves everything as it was."""
        keys = np.asarray(users)
        if keys.shape != (len(rows),) or (keys.dtype.kind not in "iu" and len(rows)):
            raise DataError(
                f"users must be one integer for each of the {len(rows):,} rows, got {keys.dtype} of shape {keys.shape}."
            )
        self._rows += len(rows)
        self._weight.update(np.ones(len(rows), dtype=np.bool_), rows.weights)
        known = keys >= 0
        if rows.weights is not None:
            known &= rows.weights > 0
        self._pending.append(
            _Block(
                users=keys[known].astype(np.int64), labels=rows.labels[known], logits=_small(rows.logits[known]),
                weights=None if rows.weights is None else _small(rows.weights[known]),
            )
        )  # fmt: skip
        self._pending_rows += len(rows)
        if self._pending_rows >= _BLOCK_ROWS:
            self._join()

    def merge(self, other: StreamingByUser) -> None:
        """Take all that `other` has seen; `other` is left as it was."""
        self._blocks += [*other._blocks, *other._pending]
        self._rows += other._rows
        self._weight.merge(other._weight)

    def held_bytes(self) -> int:
        """What the kept rows take."""
        arrays = (array for block in (*self._blocks, *self._pending) for array in block if array is not None)
        return sum(array.nbytes for array in arrays)

    def area(self) -> UserArea:
        """The areas of all rows so far."""
        self._join()
        weighted, plain, counted, users = ExactSum(), ExactSum(), ExactSum(), 0
        parts = max(1, -(-self._rows // _SORTED_ROWS))
        for number in range(parts):
            areas, weights = _areas(_part(self._blocks, number, parts))
            weighted.update(areas * weights)
            plain.update(areas)
            counted.update(weights)
            users += len(areas)
        total = self._weight.value
        return UserArea(
            gauc=weighted.value / counted.value if users else None, user_auc=plain.value / users if users else None,
            rows_fraction=counted.value / total if total > 0 else 0.0, users=users,
        )  # fmt: skip

    def _join(self) -> None:
        if self._pending:
            self._blocks.append(_joined(self._pending))
        self._pending, self._pending_rows = [], 0


def _part(blocks: list[_Block], number: int, parts: int) -> _Block:
    """The rows of a share of the users; which users that are depends on their keys alone."""
    if parts == 1:
        return _joined(blocks)
    chosen = []
    for block in blocks:
        spread = (block.users.astype(np.uint64) * _SPREAD) >> np.uint64(32)
        here = spread % np.uint64(parts) == number
        chosen.append(_Block(*(None if array is None else array[here] for array in block)))  # type: ignore[arg-type]
    return _joined(chosen)


def _areas(block: _Block) -> tuple[Floats, Floats]:
    """AUC and weight of each user who has both classes, by rising key; both float64 [users]."""
    if not len(block.users):
        return np.zeros(0), np.zeros(0)
    # With weights, rows of equal score are ordered too, so that no sum depends on the order of the rows.
    ties = () if block.weights is None else (block.weights, block.labels)
    order = np.lexsort((*ties, block.logits, block.users))
    users, labels, logits = block.users[order], block.labels[order], block.logits[order]
    first = np.flatnonzero(_changes(users))
    negative, positive, weight = _class_weights(labels, None if block.weights is None else block.weights[order], first)
    scores = np.flatnonzero(_changes(users) | _changes(logits))  # where a user's next score begins
    twice = _twice_won(np.add.reduceat(negative, scores), np.add.reduceat(positive, scores), _places(scores, first))
    negatives, positives = np.add.reduceat(negative, first), np.add.reduceat(positive, first)
    both = (negatives > 0) & (positives > 0)
    pairs = negatives[both].astype(np.float64) * positives[both]
    return twice[both] / (2 * pairs), weight[both]


def _class_weights(
    labels: Bools, weights: NDArray[Any] | None, first: NDArray[np.intp]
) -> tuple[NDArray[Any], NDArray[Any], Floats]:
    """Weight of each row as a negative and as a positive, and the weight of each user.

    Without weights these are int64: what follows is exact. Else each class of a user is scaled to a largest weight of
    1, which leaves the user's AUC as it is, so that no user's weights drown those of others in a running sum.
    """
    if weights is None:
        rows = np.diff(np.append(first, len(labels)))
        return (~labels).astype(np.int64), labels.astype(np.int64), rows.astype(np.float64)
    weights = weights.astype(np.float64)
    lengths = np.diff(np.append(first, len(labels)))

    def scaled(chosen: Bools) -> Floats:
        mine = np.where(chosen, weights, 0.0)
        largest = np.maximum.reduceat(mine, first)
        scaled: Floats = mine / np.repeat(np.where(largest > 0, largest, 1.0), lengths)
        return scaled

    return scaled(~labels), scaled(labels), np.add.reduceat(weights, first)


def _twice_won(negative: NDArray[Any], positive: NDArray[Any], first: NDArray[np.intp]) -> NDArray[Any]:
    """Twice the weight of pairs in the right order, ties half, per user.

    Args:
        negative: weight of label 0 at each score of each user, by user and rising score.
        positive: weight of label 1 there.
        first: where each user begins.
    """
    upto = np.cumsum(negative)
    before = np.repeat(upto[first] - negative[first], np.diff(np.append(first, len(negative))))
    won: NDArray[Any] = np.add.reduceat(positive * (2 * (upto - before) - negative), first)
    return won


def _changes(values: NDArray[Any]) -> Bools:
    """Whether each value differs from the one before; the first does."""
    return np.concatenate(([True], values[1:] != values[:-1]))


def _places(scores: NDArray[np.intp], first: NDArray[np.intp]) -> NDArray[np.intp]:
    """Number of the score with which each user begins: every user begins with a new score."""
    return np.searchsorted(scores, first)


def _small(values: Floats) -> NDArray[Any]:
    """As float32 where no value changes by it."""
    with np.errstate(over="ignore"):  # weights go up to 1e100
        small = values.astype(np.float32)
    return small if (small == values).all() else values


def _joined(blocks: list[_Block]) -> _Block:
    weighted = any(b.weights is not None for b in blocks)
    return _Block(
        users=np.concatenate([np.zeros(0, dtype=np.int64), *(b.users for b in blocks)]),
        labels=np.concatenate([np.zeros(0, dtype=np.bool_), *(b.labels for b in blocks)]),
        logits=np.concatenate([np.zeros(0, dtype=np.float32), *(b.logits for b in blocks)]),
        weights=np.concatenate([np.ones(len(b.users), np.float32) if b.weights is None else b.weights for b in blocks])
        if weighted
        else None,
    )
