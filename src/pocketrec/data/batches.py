"""Batches of encoded rows: batch k of epoch e is a pure function of (seed, e, k), whatever was read before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch

from pocketrec.data.jagged import Jagged, places_of
from pocketrec.data.shuffle import Shuffle
from pocketrec.data.users import user_keys
from pocketrec.spec.errors import OptionError
from pocketrec.spec.table import Head, WantedIds

__all__ = ["Batch", "Order", "Rows", "Stored", "StoredBags", "batches", "order_of"]

Order = Literal["time", "shuffle"]

# Rows taken from the cache at a time when they are taken in order.
_READ_ROWS = 16_384


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Rows that are ready for a model.

    Attributes:
        dense: float32 [b, D].
        ids: int64 [b, F]; with a field of bags in the schema int64 [values], all rows' bags of the first field, then
            of the second, ...
        label: float32 [b] of 0 and 1; empty where the data has no labels.
        weight: float32 [b], or None.
        index: k, the batch's number within its epoch, from 0.
        rows: its first and last + 1 place in the epoch's order.
        offsets: int64 [F x b + 1], where each bag begins, or None without fields of bags.
        value_weights: float32 [values], factors of the values of bags; None where no bag is averaged.
        user: int64 [b], whose row each is: the hash63 of the raw token or the plain id, -1 where it is missing; None
            where the schema names no user.
    """

    dense: torch.Tensor
    ids: torch.Tensor
    label: torch.Tensor
    weight: torch.Tensor | None
    index: int
    rows: tuple[int, int]
    offsets: torch.Tensor | None = None
    value_weights: torch.Tensor | None = None
    user: torch.Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredBags:
    """One field of bags, mapped.

    Attributes:
        values: int32 ranks or int64 ids [values].
        offsets: int64 [n + 1].
    """

    values: np.ndarray
    offsets: np.ndarray

    def take(self, at: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        """The values of some rows, [values], and the lengths of their bags, int64 [rows]."""
        if isinstance(at, slice):
            bounds = np.array(self.offsets[at.start : at.stop + 1])
            return np.array(self.values[bounds[0] : bounds[-1]]), np.diff(bounds)
        starts = np.take(self.offsets, at)
        lengths = np.take(self.offsets, at + 1) - starts
        return np.take(self.values, places_of(starts, lengths)), lengths


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stored:
    """The arrays of a cache, mapped; see `pocketrec.data.cache`.

    Attributes:
        dense: float32 [n, D].
        ranks: int32 [n, fields of ranks].
        ids: int64 [n, other fields].
        label: float32 [n], or None.
        weight: float32 [n], or None.
        columns: per categorical field, whether it is in `ranks` and in which column.
        tokens: per categorical field, hash63 by rank, for fields of ranks.
        bags: per categorical field, its bags, or None where it has one token per row; () when all have.
        mean: per categorical field, whether its bags are averaged.
        user: number of the categorical field that says whose row it is, or None.
    """

    dense: np.ndarray
    ranks: np.ndarray
    ids: np.ndarray
    label: np.ndarray | None
    weight: np.ndarray | None
    columns: Sequence[tuple[bool, int]]
    tokens: Sequence[np.ndarray | None]
    bags: Sequence[StoredBags | None] = ()
    mean: Sequence[bool] = ()
    user: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Some consecutive rows of an epoch's order, as tensors of their own (not views of the cache).

    Attributes:
        dense: float32 [n, D].
        ids: int64 [n, F]; empty where there are bags.
        label: float32 [n], or empty.
        weight: float32 [n], or None.
        bags: the ids of all fields, where the schema has fields of bags.
        user: int64 [n], or None.
    """

    dense: torch.Tensor
    ids: torch.Tensor
    label: torch.Tensor
    weight: torch.Tensor | None
    bags: Jagged | None = None
    user: torch.Tensor | None = None

    def cut(self, start: int, stop: int) -> Rows:
        """Views of some of them."""
        weight = None if self.weight is None else self.weight[start:stop]
        return Rows(
            dense=self.dense[start:stop], ids=self.ids[start:stop], label=self.label[start:stop], weight=weight,
            bags=None if self.bags is None else self.bags.cut(start, stop),
            user=None if self.user is None else self.user[start:stop],
        )  # fmt: skip

    @staticmethod
    def joined(parts: Sequence[Rows]) -> Rows:
        """One after the other."""
        if len(parts) == 1:
            return parts[0]
        weights = [part.weight for part in parts if part.weight is not None]
        bags = [part.bags for part in parts if part.bags is not None]
        users = [part.user for part in parts if part.user is not None]
        return Rows(
            dense=torch.cat([part.dense for part in parts]),
            ids=torch.cat([part.ids for part in parts]),
            label=torch.cat([part.label for part in parts]),
            weight=torch.cat(weights) if weights else None,
            bags=Jagged.joined(bags) if bags else None,
            user=torch.cat(users) if users else None,
        )

    def batch(self, index: int, places: tuple[int, int]) -> Batch:
        """Them as the batch of this number, from these places of the order."""
        bags = self.bags
        offsets = None if bags is None else torch.from_numpy(bags.offsets)
        factors = None if bags is None or bags.weights is None else torch.from_numpy(bags.weights)
        return Batch(
            dense=self.dense, ids=self.ids if bags is None else torch.from_numpy(bags.values), label=self.label,
            weight=self.weight, index=index, rows=places, offsets=offsets, value_weights=factors, user=self.user,
        )  # fmt: skip


class _Window(Protocol):
    """Cuts an epoch's order into windows that are taken from the cache at once."""

    def find(self, place: int) -> tuple[int, int, int]:
        """The window that holds a place of the order, where it begins and where it ends."""
        ...

    def rows(self, index: int) -> np.ndarray | slice:
        """The rows of a window, in order, counted from the first of the wanted parts."""
        ...


class _InTime:
    def __init__(self, rows: int) -> None:
        self._rows = rows

    def find(self, place: int) -> tuple[int, int, int]:
        index = place // _READ_ROWS
        return index, index * _READ_ROWS, min(self._rows, (index + 1) * _READ_ROWS)

    def rows(self, index: int) -> slice:
        return slice(index * _READ_ROWS, min(self._rows, (index + 1) * _READ_ROWS))


class _Shuffled:
    def __init__(self, shuffle: Shuffle) -> None:
        self._shuffle = shuffle
        self._blocks = shuffle.block_order()
        self._starts = shuffle.starts(self._blocks)

    def find(self, place: int) -> tuple[int, int, int]:
        index = int(np.searchsorted(self._starts, place, side="right")) - 1
        return index, int(self._starts[index]), int(self._starts[index + 1])

    def rows(self, index: int) -> np.ndarray:
        return self._shuffle.window(self._blocks, index)


def batches(
    stored: Stored, span: tuple[int, int], spaces: Sequence[WantedIds], *, batch_size: int, windows: _Window, start: int
) -> Iterator[Batch]:
    """Batches `start`, `start` + 1, ... of an epoch; the last one may be shorter.

    Args:
        stored: the cache.
        span: first and last + 1 row of the wanted parts.
        spaces: per categorical field, in which id space its ids are wanted.
        batch_size: rows per batch, 1 or more.
        windows: the order of the epoch, from :func:`order_of`.
        start: number of the first batch.
    """
    total = span[1] - span[0]
    held, rows = (-1, 0, 0), Rows(dense=torch.empty(0), ids=torch.empty(0), label=torch.empty(0), weight=None)
    for index in range(start, -(-total // batch_size)):
        begin = place = index * batch_size
        end, parts = min(total, place + batch_size), []
        while place < end:
            if not held[1] <= place < held[2]:
                held = windows.find(place)
                rows = _take(stored, span[0], windows.rows(held[0]), spaces)
            until = min(end, held[2])
            parts.append(rows.cut(place - held[1], until - held[1]))
            place = until
        yield Rows.joined(parts).batch(index, (begin, end))


def order_of(order: Order, rows: int, *, seed: int, epoch: int) -> _Window:
    """The order of an epoch over so many rows: ``time``, or ``shuffle`` by seed and epoch."""
    if order == "time":
        return _InTime(rows)
    if order == "shuffle":
        return _Shuffled(Shuffle(rows=rows, seed=seed, epoch=epoch))
    raise OptionError(f"order must be 'time' or 'shuffle', got {order!r}.")


def _take(stored: Stored, first: int, rows: np.ndarray | slice, spaces: Sequence[WantedIds]) -> Rows:
    """Copy rows out of the cache: one gather per array, then one widening of the ids."""
    at: np.ndarray | slice
    at = slice(rows.start + first, rows.stop + first) if isinstance(rows, slice) else rows + first
    return Rows(
        dense=torch.from_numpy(_rows(stored.dense, at)),
        ids=torch.empty(0, dtype=torch.int64) if stored.bags else torch.from_numpy(_ids(stored, at, spaces)),
        label=torch.from_numpy(_rows(stored.label, at)) if stored.label is not None else torch.empty(0),
        weight=torch.from_numpy(_rows(stored.weight, at)) if stored.weight is not None else None,
        bags=_bags(stored, at, spaces) if stored.bags else None,
        user=None if stored.user is None else torch.from_numpy(_users(stored, at, stored.user)),
    )


def _rows(array: np.ndarray, at: np.ndarray | slice) -> np.ndarray:
    return np.array(array[at]) if isinstance(at, slice) else np.take(array, at, axis=0)


def _ids(stored: Stored, at: np.ndarray | slice, spaces: Sequence[WantedIds]) -> np.ndarray:
    ranks, others = _rows(stored.ranks, at), _rows(stored.ids, at)
    if all(ranked for ranked, _ in stored.columns) and all(space == "rank" for space in spaces):
        return ranks.astype(np.int64)
    out = np.empty((len(ranks), len(spaces)), dtype=np.int64)
    for j, (space, (ranked, column)) in enumerate(zip(spaces, stored.columns, strict=True)):
        out[:, j] = _in_space((ranks if ranked else others)[:, column], space, stored.tokens[j])
    return out


def _bags(stored: Stored, at: np.ndarray | slice, spaces: Sequence[WantedIds]) -> Jagged:
    ranks, others = _rows(stored.ranks, at), _rows(stored.ids, at)
    columns: list[tuple[np.ndarray, np.ndarray | None]] = []
    for j, (space, (ranked, column), bags) in enumerate(zip(spaces, stored.columns, stored.bags, strict=True)):
        if bags is None:
            columns.append((_in_space((ranks if ranked else others)[:, column], space, stored.tokens[j]), None))
        else:
            values, lengths = bags.take(at)
            columns.append((_in_space(values, space, stored.tokens[j]), lengths))
    return Jagged.of(columns, stored.mean, len(ranks))


def _users(stored: Stored, at: np.ndarray | slice, field: int) -> np.ndarray:
    ranked, column = stored.columns[field]
    ids = (stored.ranks if ranked else stored.ids)[at, column]
    # plain ids are far below any hash that could be taken for the missing one
    return user_keys(_in_space(ids, "hash63", stored.tokens[field]))


def _in_space(ids: np.ndarray, space: WantedIds, tokens: np.ndarray | None) -> np.ndarray:
    """Ids as they are stored, or the hashes of ranks; `tokens` are there for ranks only."""
    if tokens is None or space == "rank":
        return ids
    return np.where(ids <= space.ranks, ids, tokens[ids]) if isinstance(space, Head) else tokens[ids]
