"""How much the rate of clicks differs between the ids of a table, from training rows alone."""

from __future__ import annotations

import itertools
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pocketrec.compress.worth import TableWorth
from pocketrec.data.dataset import Dataset
from pocketrec.data.split import Through, parts_through

__all__ = ["prior_rows", "worths"]

_BATCH_ROWS: Final = 65_536


def worths(dataset: Dataset, *, through: Through = "train", most_rows: int = 2_000_000) -> dict[str, TableWorth]:
    """What the ids of every table are worth, before any training.

    Args:
        dataset: with labels.
        through: the last part that trains.
        most_rows: rows that effects are measured on, from the first one on; counts are of all.
    """
    pairs = _seen(dataset, through, most_rows)
    return {
        name: TableWorth(stats=stats, prior_rows=prior_rows(*pairs[name]))
        for name, stats in dataset.table_stats(through).items()
    }


def prior_rows(rows: NDArray[np.int64], clicks: NDArray[np.float64]) -> float:
    """k = p (1 - p) / v, where v is the variance of the rate of clicks between ids, by the method of moments.

    With N rows in all, E sum (clicks - rows p)^2 / rows = (ids - 1) p (1 - p) + v (N - sum rows^2 / N - ids + 1), for
    rates of mean p and variance v and binomial clicks.

    Args:
        rows: of each id, 1 or more.
        clicks: of each id, 0..rows.

    Returns:
        Above 0; infinite where ids differ no more than chance would have it.
    """
    total, ids = int(rows.sum()), len(rows)
    p = float(clicks.sum()) / total if total else 0.0
    noise = p * (1 - p)
    room = total - float((rows.astype(float) ** 2).sum()) / total - ids + 1 if total else 0.0
    if noise <= 0 or room <= 0:
        return math.inf
    spread = float(((clicks - rows * p) ** 2 / rows).sum())
    variance = (spread - (ids - 1) * noise) / room
    return noise / min(variance, noise) if variance > 0 else math.inf


def _seen(
    dataset: Dataset, through: Through, most_rows: int
) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Rows and clicks of every id that occurs, per table."""
    found: dict[str, list[tuple[NDArray[np.int64], ...]]] = {f.table_name: [] for f in dataset.schema.tables}
    batches = dataset.batches(parts_through(through), batch_size=_BATCH_ROWS)
    for batch in itertools.islice(batches, -(-most_rows // _BATCH_ROWS)):
        label = batch.label.numpy()
        for column, field in enumerate(dataset.schema.categorical):
            if batch.offsets is None:
                ids, clicked = batch.ids[:, column].numpy(), label
            else:
                bounds = batch.offsets.numpy()[column * len(label) : (column + 1) * len(label) + 1]
                ids = batch.ids.numpy()[bounds[0] : bounds[-1]]
                clicked = np.repeat(label, np.diff(bounds))
            found[field.table_name].append(_tallied(ids, np.ones(len(ids)), clicked))
    return {name: _together(own) for name, own in found.items()}


def _tallied(ids: NDArray[np.int64], rows: NDArray[np.float64], clicks: NDArray[np.float64]) -> tuple[NDArray, ...]:  # type: ignore[type-arg]
    """Distinct ids with the sums of their rows and clicks."""
    distinct, place = np.unique(ids, return_inverse=True)
    return distinct, np.bincount(place, rows, len(distinct)), np.bincount(place, clicks, len(distinct))


def _together(parts: list[tuple[NDArray[np.int64], ...]]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    if not parts:
        return np.empty(0, np.int64), np.empty(0)
    ids, rows, clicks = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    _, rows, clicks = _tallied(ids, rows, clicks)
    return rows.astype(np.int64), clicks
