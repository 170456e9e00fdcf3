"""From what a step touched to keys and scores of a sketch; op ``pocketrec::scored_keys``.

The key of an id is ``mix(id, seed)`` with the seed of its table. Its score is its importance divided by the mean over
its table, so that an average occurrence counts 1 in every table and batch, whatever the loss is multiplied by. CAFE's
published program does the same (Zhang et al., SIGMOD 2024, arXiv:2312.03256; the paper does not say so).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

from pocketrec.native.binding import kernels_for
from pocketrec.native.library import define
from pocketrec.native.mix import mix
from pocketrec.native.packing import require_cpu
from pocketrec.native.request import check_value

__all__ = ["ALL_IDS", "Scored", "normalised", "scored_keys"]

ALL_IDS: Final = 2**63 - 1
"""The last id of a table of which none are left out."""


class Scored(NamedTuple):
    """What a sketch is told of.

    Attributes:
        keys: int64 [kept], words of `pocketrec.native.mix.mix`.
        scores: float32 [kept].
        values: int64 [kept], places among the values of the call, rising.
    """

    keys: Tensor
    scores: Tensor
    values: Tensor


def normalised(importance: Tensor, tables: Tensor, count: int) -> Tensor:
    """Each number divided by the mean over its table, float32 [values]; 0 for tables of zeros.

    Args:
        importance: float32 [values], gradient norms of one step.
        tables: int64 [values], below `count`.
        count: number of tables.
    """
    sums = torch.zeros(count, dtype=torch.float64, device=tables.device).index_add_(0, tables, importance.double())
    means = sums / torch.bincount(tables, minlength=count)
    return importance / torch.where(means > 0, means, torch.inf).float()[tables]


def _check(ids: Tensor, tables: Tensor, importance: Tensor, seeds: Tensor, lasts: Tensor) -> None:
    words = (ids, tables, seeds, lasts)
    if any(t.dtype is not torch.int64 or t.dim() != 1 for t in words) or importance.dtype is not torch.float32:
        raise TypeError(
            "ids, tables, seeds and lasts must be int64 of one axis and importance float32, got "
            f"{[f'{t.dtype} {list(t.shape)}' for t in (*words, importance)]}."
        )
    check_value(
        ids.shape == tables.shape == importance.shape and seeds.shape == lasts.shape,
        lambda: (
            f"ids, tables and importance must be as many, got {len(ids)}, {len(tables)} and "
            f"{list(importance.shape)}; seeds and lasts too, got {len(seeds)} and {len(lasts)}."
        ),
    )


def _reference(ids: Tensor, tables: Tensor, importance: Tensor, seeds: Tensor, lasts: Tensor) -> Scored:
    bad = ((tables < 0) | (tables >= seeds.shape[0])).nonzero()
    if len(bad):
        number = int(bad[0])
        raise ValueError(f"tables must lie in 0..{seeds.shape[0] - 1}; number {number} is {int(tables[number])}.")
    values = (ids <= lasts[tables]).nonzero().squeeze(1)
    ids, tables, importance = ids[values], tables[values], importance[values]
    return Scored(mix(ids, seeds[tables]), normalised(importance, tables, seeds.shape[0]), values)


def _scored_keys(ids: Tensor, tables: Tensor, importance: Tensor, seeds: Tensor, lasts: Tensor) -> Scored:
    _check(ids, tables, importance, seeds, lasts)
    kernels = kernels_for(ids)
    if kernels is None:
        return _reference(ids, tables, importance, seeds, lasts)
    ids, tables, importance, seeds, lasts = (t.contiguous() for t in (ids, tables, importance, seeds, lasts))
    require_cpu((ids, tables, importance, seeds, lasts))
    keys, scores, values = torch.empty_like(ids), torch.empty_like(importance), torch.empty_like(ids)
    kept = kernels.scored_keys(
        ids.data_ptr(), tables.data_ptr(), importance.data_ptr(), ids.shape[0], seeds.data_ptr(), lasts.data_ptr(),
        seeds.shape[0], keys.data_ptr(), scores.data_ptr(), values.data_ptr(),
    )  # fmt: skip
    return Scored(keys[:kept], scores[:kept], values[:kept])


def _fake(ids: Tensor, tables: Tensor, importance: Tensor, seeds: Tensor, lasts: Tensor) -> Scored:
    _check(ids, tables, importance, seeds, lasts)
    kept = torch.library.get_ctx().new_dynamic_size()
    return Scored(ids.new_empty((kept,)), importance.new_empty((kept,)), ids.new_empty((kept,)))


_OP: Final = define(
    "scored_keys",
    "(Tensor ids, Tensor tables, Tensor importance, Tensor seeds, Tensor lasts) -> (Tensor, Tensor, Tensor)",
    _scored_keys,
    _fake,
)


def scored_keys(ids: Tensor, tables: Tensor, importance: Tensor, *, seeds: Tensor, lasts: Tensor) -> Scored:
    """Keys and scores of what a step touched.

    Args:
        ids: int64 [values].
        tables: int64 [values], which table each is of.
        importance: float32 [values], gradient norms.
        seeds: int64 [tables], of the keys.
        lasts: int64 [tables]: the last id; those above it are left out and no part of a mean. -1 leaves the table
            out, `ALL_IDS` nothing.

    Raises:
        TypeError, ValueError: what does not fit, with numbers.

    >>> found = scored_keys(
    ...     torch.tensor([5, 6, 7, 5]), torch.tensor([0, 0, 0, 1]), torch.tensor([1.0, 3, 9, 7]),
    ...     seeds=torch.tensor([1, 2]), lasts=torch.tensor([6, ALL_IDS]),
    ... )
    >>> found.scores.tolist(), found.values.tolist()
    ([0.5, 1.5, 1.0], [0, 1, 3])
    """
    return Scored(*_OP(ids, tables, importance, seeds, lasts))
