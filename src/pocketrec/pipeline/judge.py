"""The judgement of a model: all metrics over a part of the data, and AUC by frequency of ids."""

from __future__ import annotations

import numpy as np

from pocketrec.data.dataset import Dataset
from pocketrec.data.split import Part, Through
from pocketrec.metrics import GroupMetrics, Metrics, StreamingByFrequency, StreamingMetrics
from pocketrec.models import Model
from pocketrec.pipeline.data import PartSource, spaces_by_table
from pocketrec.train import logits_of

__all__ = ["judge"]


def judge(
    model: Model, dataset: Dataset, part: Part, *, through: Through, batch_size: int, precision: str = "float32"
) -> tuple[Metrics | None, dict[str, GroupMetrics]]:
    """Metrics over one part, and per group of rows by their rarest id; None and {} for a part without rows.

    Args:
        model: nothing of it changes.
        dataset: the encoded rows.
        part: which of them.
        through: the training rows whose counts say what is frequent.
        batch_size: rows per step.
        precision: of the dense nets.
    """
    if not dataset.parts[part]:
        return None, {}
    spaces = spaces_by_table(dataset.schema, model.bank.id_spaces())
    source = PartSource(dataset=dataset, parts=(part,), id_spaces=spaces)
    labels, logits = logits_of(model, source, batch_size=batch_size, precision=precision)
    total = StreamingMetrics()
    total.update(labels, logits)
    return total.result(), _by_frequency(dataset, part, through, batch_size, labels, logits)


def _by_frequency(
    dataset: Dataset, part: Part, through: Through, batch_size: int, labels: np.ndarray, logits: np.ndarray
) -> dict[str, GroupMetrics]:
    fields = dataset.schema.categorical
    counts = [dataset.counts(f.table_name, through) if f.ids == "rank" else None for f in fields]
    if all(c is None for c in counts):
        return {}
    groups, at = StreamingByFrequency(counts), 0
    ranks = PartSource(dataset=dataset, parts=(part,), id_spaces={})
    for batch in ranks.batches(batch_size=batch_size, order="time", seed=0, epoch=0, start=0):
        stop = at + len(batch.label)
        groups.update(labels[at:stop], logits[at:stop], batch.ids.numpy())
        at = stop
    return groups.result()
