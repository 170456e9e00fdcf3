"""What the trainer asks of data: batches as a pure function of (seed, epoch, number)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, Protocol

from torch import Tensor

from pocketrec.spec.table import WantedIds

__all__ = ["Batch", "BatchSource", "Part", "TrainingData", "endless", "share_of"]

Part = Literal["train", "validation"]


class Batch(Protocol):
    """Rows that are learned together.

    Attributes:
        dense: float32 [rows, dense features].
        ids: int64 [rows, fields], in the id spaces that were asked for; int64 [values] where there are offsets.
        offsets: int64 [fields x rows + 1], where each bag begins, all rows' bags of the first field, then of the
            second, ...; or None when every field has one id per row.
        value_weights: float32 [values], factors of the values of bags, or None.
        user: int64 [rows], a number that tells users apart (negative: nobody), or None.
        label: float32 [rows], 0 or 1.
        weight: float32 [rows], or None.
    """

    @property
    def dense(self) -> Tensor: ...
    @property
    def ids(self) -> Tensor: ...
    @property
    def offsets(self) -> Tensor | None: ...
    @property
    def value_weights(self) -> Tensor | None: ...
    @property
    def user(self) -> Tensor | None: ...
    @property
    def label(self) -> Tensor: ...
    @property
    def weight(self) -> Tensor | None: ...


class BatchSource(Protocol):
    """The batches of one part of the data."""

    def batch_count(self, batch_size: int) -> int:
        """Batches per epoch."""
        ...

    def batches(
        self, *, batch_size: int, order: Literal["shuffle", "time"], seed: int, epoch: int, start: int
    ) -> Iterator[Batch]:
        """The batches of one epoch from number `start` on."""
        ...


class TrainingData(Protocol):
    """Training and validation rows."""

    def source(self, part: Part, id_spaces: Sequence[WantedIds]) -> BatchSource | None:
        """One part, with ids in these spaces (one per table); None if there are no such rows."""
        ...


@dataclass(frozen=True, slots=True)
class _Share:
    """The first batches of every epoch."""

    whole: BatchSource
    share: float

    def batch_count(self, batch_size: int) -> int:
        return math.ceil(self.share * self.whole.batch_count(batch_size))

    def batches(
        self, *, batch_size: int, order: Literal["shuffle", "time"], seed: int, epoch: int, start: int
    ) -> Iterator[Batch]:
        found = self.whole.batches(batch_size=batch_size, order=order, seed=seed, epoch=epoch, start=start)
        return islice(found, max(0, self.batch_count(batch_size) - start))


def share_of(source: BatchSource, share: float) -> BatchSource:
    """The same with so small a share of its batches per epoch: the first ones of each epoch's order.

    Args:
        source: whole epochs.
        share: above 0 to 1; some batch is always left.
    """
    return source if share == 1 else _Share(source, share)


def endless(
    source: BatchSource, *, batch_size: int, order: Literal["shuffle", "time"], seed: int, start: int
) -> Iterator[Batch]:
    """Batches of one epoch after the other without an end, from the batch number `start` of all of them on."""
    epoch, batch = divmod(start, source.batch_count(batch_size))
    while True:
        yield from source.batches(batch_size=batch_size, order=order, seed=seed, epoch=epoch, start=batch)
        epoch, batch = epoch + 1, 0
