"""What a trained model makes of each table: how much worse it predicts when a table's ids are another row's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal

import torch

from pocketrec.data.batches import Batch
from pocketrec.data.dataset import Dataset
from pocketrec.data.split import Part
from pocketrec.metrics import evaluate
from pocketrec.models import Model
from pocketrec.pipeline.data import spaces_by_table
from pocketrec.spec.table import WantedIds
from pocketrec.train import scores_of

__all__ = ["measured_nats"]

_BATCH_ROWS: Final = 4096


def measured_nats(
    model: Model, dataset: Dataset, *, part: Part = "validation", most_rows: int = 200_000
) -> dict[str, float]:
    """Nats per row that each table's ids are worth to a model, 0 or more.

    The ids of a table's columns are handed out anew among the rows of a batch (permutation importance: Breiman, Machine
    Learning 2001, section 10). A wrong id misleads about as much as the right one helped, so half of the rise of the
    log-loss is taken for the worth.

    Args:
        model: over its frozen bank, in eval mode.
        dataset: the encoded rows.
        part: whose rows are judged.
        most_rows: of them, from the first one on.
    """
    source = partial(_Mixed, dataset, part, spaces_by_table(dataset.schema, model.bank.id_spaces()), most_rows)
    plain = _logloss(model, source(()))
    columns: dict[str, list[int]] = {}
    for number, field in enumerate(dataset.schema.categorical):
        columns.setdefault(field.table_name, []).append(number)
    mixed = {name: _logloss(model, source(tuple(own))) for name, own in columns.items()}
    return {name: max(0.0, (loss - plain) / 2) for name, loss in mixed.items()}


@dataclass(frozen=True, slots=True)
class _Mixed:
    """The rows of a part with the ids of some columns handed out anew within each batch."""

    dataset: Dataset
    part: Part
    spaces: Mapping[str, WantedIds]
    most_rows: int
    columns: tuple[int, ...]

    def batch_count(self, batch_size: int) -> int:
        return min(self.dataset.batch_count((self.part,), batch_size), -(-self.most_rows // batch_size))

    def batches(
        self, *, batch_size: int, order: Literal["shuffle", "time"], seed: int, epoch: int, start: int
    ) -> Iterator[Batch]:
        found = self.dataset.batches(
            (self.part,), batch_size=batch_size, order=order, seed=seed, epoch=epoch, start=start, id_spaces=self.spaces
        )
        for number, batch in zip(range(start, self.batch_count(batch_size)), found, strict=False):
            generator = torch.Generator().manual_seed(number)
            yield replace(batch, ids=_handed_out(batch, self.columns, generator))


def _handed_out(batch: Batch, columns: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """The ids of a batch with those of some columns permuted; bags keep their lengths."""
    ids, rows = batch.ids.clone(), len(batch.label)
    for column in columns:
        if batch.offsets is None:
            ids[:, column] = ids[torch.randperm(rows, generator=generator), column]
            continue
        first, last = (int(batch.offsets[k * rows]) for k in (column, column + 1))
        ids[first:last] = ids[first:last][torch.randperm(last - first, generator=generator)]
    return ids


def _logloss(model: Model, source: _Mixed) -> float:
    found = scores_of(model, source, batch_size=_BATCH_ROWS)
    return evaluate(found.labels, found.logits, found.weights).logloss
