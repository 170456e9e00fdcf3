"""Rows: labels and logits, checked once where they enter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pocketrec.spec.errors import DataError, NotFinite

__all__ = ["Bools", "Floats", "Rows"]

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

# Within these, products of a weight and a loss, or of two sums of weights, stay in the range of float64.
_LEAST_WEIGHT, _MOST_WEIGHT = 1e-100, 1e100
_MOST_LOGIT = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Some evaluated data rows.

    Attributes:
        labels: bool [n].
        logits: float64 [n], finite, within the range of float32.
        weights: float64 [n], each 0 or in 1e-100..1e100; or None when every row counts once.
    """

    labels: Bools
    logits: Floats
    weights: Floats | None

    @staticmethod
    def checked(labels: ArrayLike, logits: ArrayLike, weights: ArrayLike | None = None) -> Rows:
        """From anything NumPy reads (torch tensors on the CPU included), one number per row; always copied.

        Raises:
            DataError: a label is neither 0 nor 1, a weight is negative or out of range, or the lengths differ.
            NotFinite: a logit is NaN, infinite or beyond float32.
        """
        label, logit = _numbers("labels", labels), _numbers("logits", logits)
        if label.shape != logit.shape:
            raise DataError(f"There are {len(label):,} labels but {len(logit):,} logits; give one of each per row.")
        _refuse(DataError, "labels are neither 0 nor 1", label, ~((label == 0) | (label == 1)))
        # float32 and integers become float64 without loss: no two scores become equal.
        scores = np.array(logit, dtype=np.float64)
        _refuse(NotFinite, "logits are NaN, infinite or beyond float32", scores, ~(np.abs(scores) <= _MOST_LOGIT))
        if weights is None:
            return Rows(labels=label.astype(np.bool_), logits=scores, weights=None)
        weight = np.array(_numbers("weights", weights), dtype=np.float64)
        if weight.shape != label.shape:
            raise DataError(f"There are {len(label):,} rows but {len(weight):,} weights; give one per row.")
        usable = (weight == 0) | ((weight >= _LEAST_WEIGHT) & (weight <= _MOST_WEIGHT))
        _refuse(DataError, "weights are neither 0 nor in 1e-100..1e100", weight, ~usable)
        return Rows(labels=label.astype(np.bool_), logits=scores, weights=weight)

    def __len__(self) -> int:
        return len(self.labels)


def _numbers(what: str, values: ArrayLike) -> NDArray[Any]:
    array = np.asarray(values)
    if array.ndim != 1:
        raise DataError(f"{what} must be one number per row, got an array of shape {array.shape}.")
    if array.dtype.kind not in "biuf" and len(array):
        raise DataError(f"{what} must be numbers, got {array.dtype}.")
    return array


def _refuse(error: type[DataError | NotFinite], what: str, values: NDArray[Any], bad: Bools) -> None:
    """Raise when any of `bad` is set, naming how many and the first."""
    if bad.any():
        first = int(bad.argmax())
        raise error(f"{int(bad.sum()):,} of {len(bad):,} {what}; the first is {values[first]} in row {first} (from 0).")
