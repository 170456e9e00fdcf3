"""The judgement of a model: all metrics over a part of the data, and AUC by frequency of ids; in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import final

import numpy as np
import torch

from pocketrec.data.dataset import Dataset
from pocketrec.data.jagged import Jagged
from pocketrec.data.split import Part, Through
from pocketrec.metrics import GroupMetrics, Metrics, StreamingByFrequency, StreamingMetrics
from pocketrec.metrics.by_frequency import HEAD_COUNT
from pocketrec.models import Model
from pocketrec.models.parts.matmul import serving
from pocketrec.pipeline.data import PartSource, spaces_by_table
from pocketrec.pipeline.portions import SCORE_ROWS
from pocketrec.spec.schema import Schema
from pocketrec.train import Batch

__all__ = ["RarestIds", "judge"]


def judge(
    model: Model, dataset: Dataset, part: Part, *, through: Through
) -> tuple[Metrics | None, dict[str, GroupMetrics]]:
    """Metrics over one part, and per group of rows by their rarest id; None and {} for a part without rows.

    The nets compute as an artifact serves, whatever they were trained in: the logits are those of
    :meth:`Recommender.logits`, to the last bit. Rows have their weights, if the schema gives them any.

    Args:
        model: in eval mode; nothing of it changes.
        dataset: the encoded rows.
        part: which of them.
        through: the training rows whose counts say what is frequent.
    """
    if not dataset.parts[part]:
        return None, {}
    counts = [
        dataset.counts(f.table_name, through) if f.ids == "rank" else None for f in dataset.schema.categorical
    ]  # fmt: skip
    seen = RarestIds(dataset.schema, counts)
    groups = None if all(c is None for c in counts) else StreamingByFrequency(seen.counts)
    total = StreamingMetrics()
    for batch, ranks in _batches(model, dataset, part):
        with torch.inference_mode(), serving(len(batch.label)):
            logits = model(batch.dense, batch.ids, batch.offsets, batch.value_weights).numpy()
        labels, weights = batch.label.numpy(), None if batch.weight is None else batch.weight.numpy()
        total.update(labels, logits, weights, None if batch.user is None else batch.user.numpy())
        if groups is not None:
            groups.update(labels, logits, seen.ids(ranks), weights)
    return total.result(), {} if groups is None else groups.result()


@final
class RarestIds:
    """One id per row and field for the groups by frequency: a bag counts with its rarest id, an empty one not at all.

    Groups only ask whether a count is 0 or reaches HEAD_COUNT. So the count itself, cut there, stands for the id of a
    bag; and HEAD_COUNT, which makes no row rarer, for an empty one.

    Args:
        schema: of the rows.
        counts: per field, int64 [ids] how often each occurs in training rows, or None to leave the field out.

    Attributes:
        counts: the same for what :meth:`ids` returns.
    """

    def __init__(self, schema: Schema, counts: Sequence[np.ndarray | None]) -> None:
        self._of_ids = counts
        cut = np.arange(HEAD_COUNT + 1)
        self.counts = [cut if f.many and c is not None else c for f, c in zip(schema.categorical, counts, strict=True)]

    def ids(self, batch: Batch) -> np.ndarray:
        """int64 [rows, fields]."""
        ids, rows = batch.ids.numpy(), len(batch.label)
        if batch.offsets is None:
            return ids
        bags = Jagged(rows=rows, values=ids, offsets=batch.offsets.numpy(), weights=None)
        out = np.zeros((rows, len(self.counts)), dtype=np.int64)
        for j, (counts, cut) in enumerate(zip(self._of_ids, self.counts, strict=True)):
            if counts is not None:
                values, lengths = bags.column(j)
                out[:, j] = values if cut is counts else _least(_times(values, counts), lengths)
        return out


def _times(ids: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """int64 [values]: how often each id occurs in training rows, HEAD_COUNT at most; ids beyond the counts never do."""
    inside = np.minimum(ids, len(counts) - 1)
    return np.where(ids < len(counts), np.minimum(counts[inside], HEAD_COUNT), 0)


def _least(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """int64 [bags]: the least value of each bag, HEAD_COUNT for an empty one."""
    out = np.full(len(lengths), HEAD_COUNT, dtype=np.int64)
    full = lengths > 0
    if full.any():
        out[full] = np.minimum.reduceat(values, (np.cumsum(lengths) - lengths)[full])
    return out


def _batches(model: Model, dataset: Dataset, part: Part) -> Iterator[tuple[Batch, Batch]]:
    """Batches in the id spaces that the model takes, each beside the same with its ids as the schema has them."""
    spaces = spaces_by_table(dataset.schema, model.bank.id_spaces())
    taken = _in_order(PartSource(dataset=dataset, parts=(part,), id_spaces=spaces))
    if all(spaces[f.table_name] == f.ids for f in dataset.schema.tables):
        yield from ((batch, batch) for batch in taken)
        return
    ranked = _in_order(PartSource(dataset=dataset, parts=(part,), id_spaces={}))
    yield from zip(taken, ranked, strict=True)


def _in_order(source: PartSource) -> Iterator[Batch]:
    return source.batches(batch_size=SCORE_ROWS, order="time", seed=0, epoch=0, start=0)
