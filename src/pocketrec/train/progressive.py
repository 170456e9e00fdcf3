"""Progressive validation: every row is predicted before it is learned from, so training itself is a test on new rows.

That holds for the first epoch only, and for the last stage of a method: rows that an earlier stage trained on are not
new to it. With rows in the order of time and one epoch this is how an online system is judged.

Papers: see :class:`pocketrec.spec.metrics.Progressive`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pocketrec.metrics.measures.calibration import predictions
from pocketrec.metrics.measures.logloss import row_losses
from pocketrec.metrics.rows import Rows
from pocketrec.spec.metrics import Progressive
from pocketrec.train.source import Batch

__all__ = ["WINDOWS", "Window", "add_batch", "progressive_json", "progressive_of"]

# Points of the curve at most. Enough to draw, and at 5 numbers each no burden to a checkpoint.
WINDOWS = 200

# rows, and sums over them: weight, weight x loss, weight of positives, weight x prediction. Plain JSON, so that it is
# part of a checkpoint and a resume goes on to the same numbers.
Window = list[float]


def add_batch(windows: list[Window], batch: Batch, logits: Tensor, *, number: int, count: int) -> None:
    """Count a batch into its window.

    Args:
        windows: those of the epoch so far; the last one grows, or a new one is appended.
        batch: the rows.
        logits: float32 [rows], from before they were learned from.
        number: of the batch in its epoch, from 0.
        count: batches of the epoch; they are divided evenly among the windows.
    """
    rows = Rows.checked(batch.label.numpy(), logits.numpy(), None if batch.weight is None else batch.weight.numpy())
    weights = np.ones(len(rows)) if rows.weights is None else rows.weights
    terms = (weights, weights * row_losses(rows), weights[rows.labels], weights * predictions(rows.logits))
    added = [float(len(rows)), *(math.fsum(term.tolist()) for term in terms)]
    if number * min(WINDOWS, count) // count >= len(windows):
        windows.append([0.0] * len(added))
    windows[-1] = [before + more for before, more in zip(windows[-1], added, strict=True)]


def progressive_json(windows: Sequence[Window], *, rows: int, precision: str) -> dict[str, Any] | None:
    """All figures of a finished epoch as JSON; None when its rows were not all counted, or have no weight.

    Args:
        windows: of all its batches.
        rows: of the epoch.
        precision: of the dense nets' products.
    """
    sums: NDArray[np.float64] = np.array(windows, dtype=np.float64).reshape(len(windows), 5)
    counted, weight, loss, positive, predicted = (math.fsum(column.tolist()) for column in sums.T)
    if counted != rows or not weight > 0:
        return None
    ends = np.cumsum(sums[:, 0]).astype(np.int64).tolist()
    told = [(end, *window) for end, window in zip(ends, windows, strict=True) if window[1] > 0]
    found = Progressive(
        rows=rows, logloss=loss / weight, normalised_entropy=_normalised(loss / weight, positive / weight),
        calibration=predicted / positive if positive > 0 else None,
        curve=tuple((end, lost / weighed) for end, _, weighed, lost, _, _ in told),
        rates=tuple(clicked / weighed for _, _, weighed, _, clicked, _ in told), precision=precision,
    )  # fmt: skip
    return {**asdict(found), "curve": [list(point) for point in found.curve], "rates": list(found.rates)}


def progressive_of(history: Sequence[dict[str, Any]]) -> Progressive | None:
    """What the epochs of a training say, if one of them was counted."""
    found = next((entry["progressive"] for entry in history if entry.get("progressive") is not None), None)
    if found is None:
        return None
    curve = tuple((int(rows), float(loss)) for rows, loss in found["curve"])
    return Progressive(**{**found, "curve": curve, "rates": tuple(found["rates"])})


def _normalised(logloss: float, rate: float) -> float | None:
    if not 0 < rate < 1:
        return None
    return logloss / -(rate * math.log(rate) + (1 - rate) * math.log1p(-rate))
