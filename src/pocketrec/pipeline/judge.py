"""The judgement of a model: all metrics over a part of the data, and AUC by frequency of ids; in one pass."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from pocketrec.data.dataset import Dataset
from pocketrec.data.split import Part, Through
from pocketrec.metrics import GroupMetrics, Metrics, StreamingByFrequency, StreamingMetrics
from pocketrec.models import Model
from pocketrec.pipeline.data import PartSource, spaces_by_table
from pocketrec.pipeline.portions import SCORE_ROWS
from pocketrec.train import Batch

__all__ = ["judge"]


def judge(
    model: Model, dataset: Dataset, part: Part, *, through: Through
) -> tuple[Metrics | None, dict[str, GroupMetrics]]:
    """Metrics over one part, and per group of rows by their rarest id; None and {} for a part without rows.

    The nets compute in float32 whatever they were trained in, because that is how an artifact serves: the logits are
    those of :meth:`Recommender.logits`, to the last bit. Rows have their weights, if the schema gives them any.

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
    groups = None if all(c is None for c in counts) else StreamingByFrequency(counts)
    total = StreamingMetrics()
    for batch, ranks in _batches(model, dataset, part):
        with torch.inference_mode():
            logits = model(batch.dense, batch.ids).numpy()
        labels, weights = batch.label.numpy(), None if batch.weight is None else batch.weight.numpy()
        total.update(labels, logits, weights)
        if groups is not None:
            groups.update(labels, logits, ranks, weights)
    return total.result(), {} if groups is None else groups.result()


def _batches(model: Model, dataset: Dataset, part: Part) -> Iterator[tuple[Batch, np.ndarray]]:
    """Batches in the id spaces that the model takes, each with its ids as the schema has them: int64 [rows, fields]."""
    spaces = spaces_by_table(dataset.schema, model.bank.id_spaces())
    taken = _in_order(PartSource(dataset=dataset, parts=(part,), id_spaces=spaces))
    if all(spaces[f.table_name] == f.ids for f in dataset.schema.tables):
        yield from ((batch, batch.ids.numpy()) for batch in taken)
        return
    ranked = _in_order(PartSource(dataset=dataset, parts=(part,), id_spaces={}))
    yield from ((batch, ranks.ids.numpy()) for batch, ranks in zip(taken, ranked, strict=True))


def _in_order(source: PartSource) -> Iterator[Batch]:
    return source.batches(batch_size=SCORE_ROWS, order="time", seed=0, epoch=0, start=0)
