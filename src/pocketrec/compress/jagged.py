"""Keyed jagged input: one object that holds the bags of many features, as torchrec's KeyedJaggedTensor does.

torchrec is never imported: whatever answers the five questions of :class:`KeyedJagged` is taken. Values lie feature by
feature; ``offsets`` has ``features x stride + 1`` numbers, and the bag of row `i` of feature number `k` is
``values[offsets[k * stride + i]:offsets[k * stride + i + 1]]``. That is what a bank reads anyway. Features in another
order than the bank's columns, and features that the bank has no column for, cost no copy of the values: only offsets
are picked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from pocketrec.spec.errors import OptionError, UnknownName

__all__ = [
    "Bags",
    "KeyedJagged",
    "bags_of",
    "check_bags",
    "columns_of_values",
    "data_rows",
    "offsets_by_column",
    "own_bags",
    "values_of_bags",
]


class KeyedJagged(Protocol):
    """What is asked of a keyed jagged input."""

    def keys(self) -> Sequence[str]:
        """Names of the features, in the order of the values."""

    def values(self) -> Tensor:
        """Ids, any integer dtype [values]."""

    def offsets(self) -> Tensor:
        """Where each bag begins, any integer dtype [features x stride + 1]."""

    def weights_or_none(self) -> Tensor | None:
        """Factors of the values, float [values], or None."""

    def stride(self) -> int:
        """Rows of the batch."""


class Bags(NamedTuple):
    """The arguments of a bank's call.

    Attributes:
        ids: int64 [values].
        offsets: int64 [columns x batch + 1], or [columns, batch + 1] where columns lie elsewhere among the values.
        weights: float32 [values] or None.
    """

    ids: Tensor
    offsets: Tensor
    weights: Tensor | None


def bags_of(features: KeyedJagged, columns: Sequence[str]) -> Bags:
    """The bags of these features, in this order.

    Args:
        features: holds every feature that is named in `columns`; others are left alone, as torchrec leaves them.
        columns: a feature's name for each column; a feature may stand in several.

    Raises:
        UnknownName: a feature is missing. OptionError: features of different batch sizes, or ids that are not integers.
    """
    keys, stride = list(features.keys()), features.stride()
    for name in columns:
        if name not in keys:
            raise UnknownName("feature", name, keys)
    values, offsets, weights = features.values(), features.offsets(), features.weights_or_none()
    _check(features, keys, values, offsets, stride)
    offsets = offsets.to(torch.int64)
    if keys != list(columns):
        offsets = offsets_by_column(offsets, len(keys), [keys.index(name) for name in columns])
    return Bags(values.to(torch.int64), offsets, None if weights is None else weights.to(torch.float32))


def offsets_by_column(offsets: Tensor, columns: int, chosen: Sequence[int]) -> Tensor:
    """The offsets of some columns, each with its own end.

    Args:
        offsets: int64 [columns x batch + 1], or [columns, batch + 1].
        columns: how many there are.
        chosen: which of them, in any order.

    Returns:
        int64 [chosen, batch + 1].

    Raises:
        OptionError: they are not offsets of so many columns.
    """
    picked = torch.tensor(list(chosen))
    if offsets.dim() == 2:
        return offsets[picked]
    batch, more = divmod(offsets.numel() - 1, columns)
    if more:
        raise OptionError(
            f"offsets of {columns} columns must hold {columns} x batch + 1 numbers (the last one ends the last bag), "
            f"got {offsets.numel()}."
        )
    return offsets[picked[:, None] * batch + torch.arange(batch + 1)]


def _check(features: KeyedJagged, keys: list[str], values: Tensor, offsets: Tensor, stride: int) -> None:
    if values.is_floating_point() or values.dtype == torch.bool:
        raise OptionError(f"Features hold ids, which are integers; these values are {values.dtype}.")
    if len(set(keys)) != len(keys):
        raise OptionError(f"A feature stands twice among the keys: {', '.join(keys)}.")
    # torchrec's word for a batch whose rows are stored once each; other inputs need not know it
    indices: Any = getattr(features, "inverse_indices_or_none", None)
    if offsets.numel() != len(keys) * stride + 1 or (indices is not None and indices() is not None):
        raise OptionError(
            f"All features need the same batch size: {len(keys)} features of {stride} rows have "
            f"{len(keys) * stride + 1} offsets, these are {offsets.numel()}. Variable strides per key (and inverse "
            "indices) are not supported; expand them first."
        )


def values_of_bags(offsets: Tensor, columns: int) -> tuple[Tensor, Tensor, Tensor]:
    """Place among the ids, column and bag (key-major) of every value that is in a bag: int64 [values] each."""
    if offsets.dim() == 1:
        starts, ends = offsets[:-1], offsets[1:]
    else:
        starts, ends = offsets[:, :-1].reshape(-1), offsets[:, 1:].reshape(-1)
    lengths = ends - starts
    bag = torch.arange(lengths.numel()).repeat_interleave(lengths)
    place = torch.arange(bag.numel()) - (lengths.cumsum(0) - lengths)[bag] + starts[bag]
    return place, bag // max(1, lengths.numel() // columns), bag


def check_bags(ids: Tensor, offsets: Tensor) -> None:
    """ValueError for offsets that fall or leave the ids, in the words of the lookup, where it is not asked first."""
    starts, ends = offsets[..., :-1].reshape(-1), offsets[..., 1:].reshape(-1)
    wrong = (ends < starts) | (starts < 0) | (ends > ids.shape[0])
    if bool(wrong.any()):
        bag = int(wrong.nonzero()[0])
        raise ValueError(
            f"offsets must not fall and lie in 0..{ids.shape[0]} (the number of ids); "
            f"bag {bag} runs from {int(starts[bag])} to {int(ends[bag])}."
        )


def own_bags(ids: Tensor, offsets: Tensor, weights: Tensor | None) -> Bags:
    """The same bags with values of their own, one bag after the other: no value is in two bags, and none in no bag.

    Args:
        ids: int64 [values].
        offsets: int64 [columns, batch + 1], each column with its own end.
        weights: float32 [values] or None.
    """
    place, _, _ = values_of_bags(offsets, offsets.shape[0])
    ends = offsets.diff(dim=1).reshape(-1).cumsum(0)
    return Bags(ids[place], torch.cat([ends.new_zeros(1), ends]), None if weights is None else weights[place])


def data_rows(ids: Tensor, offsets: Tensor | None, columns: int) -> int:
    """Data rows of a lookup of [rows, columns] ids, or of bags as a bank takes them."""
    if offsets is None:
        return ids.shape[0]
    return offsets.shape[1] - 1 if offsets.dim() == 2 else (offsets.shape[0] - 1) // columns


def columns_of_values(offsets: Tensor, columns: int) -> Tensor:
    """Which column each value is of: int64 [values], for key-major offsets [columns x batch + 1]."""
    lengths = offsets.diff()
    of_bag = torch.arange(columns).repeat_interleave(lengths.numel() // columns)
    return of_bag.repeat_interleave(lengths)
