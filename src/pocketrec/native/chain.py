"""Tensor trains: the vector of an id is the product of one slice of each core (reference; csrc/chain.cpp computes).

A table of at most p_0 ... p_{d-1} ids and dim q_0 ... q_{d-1} has d cores. With i_0 ... i_{d-1} the digits of an id in
the mixed radix of the p, the first the most significant, and G_k[i] the slice i of core k, [r, q_k, r] but without the
first axis in core 0 and without the last one in core d - 1,

    vector = G_0[i_0] G_1[i_1] ... G_{d-1}[i_{d-1}],

number j of which has the digits j_k of the q, the first the most significant (TT-Rec: Yin, Acun, Wu, Liu, MLSys 2021,
arXiv:2101.11714). All ranks are one r, so that every core is rows of r numbers, and one region holds all of them: core
0 has p_0 slices of q_0 rows, core k p_k of r q_k rows, and the last one, whose slices are turned, p_{d-1} of q_{d-1}
rows.

A ring closes the train: its first and last cores have an axis of R more, and the product's trace over it is taken
(Zhao, Zhou, Xie, Zhang, Cichocki, Tensor Ring Decomposition, 2016, arXiv:1606.05535). That is the sum of R trains,
which share all cores but these two: slices of core 0 have R q_0 rows, train after train, and those of the last core
R q_{d-1}.

Products are summed over r from 0 upwards, train after train: the kernel's numbers, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor

from pocketrec.native.program import Column

__all__ = ["Chain", "chain_addresses", "chain_gradients", "chain_of", "chain_vectors", "slice_addresses"]

_DIM_FACTORS: Final = (Column.A, Column.R, Column.S, Column.T)
_ROW_FACTORS: Final = (Column.B, Column.P, Column.Q, Column.GLOBAL)


class Chain(NamedTuple):
    """What all fields of a call have in common.

    Attributes:
        factors: of dim, one per core.
        rank: numbers per row.
        outer: trains that are added up, the rank that closes a ring; 1 for a train alone.
    """

    factors: tuple[int, ...]
    rank: int
    outer: int = 1

    @property
    def slice_rows(self) -> tuple[int, ...]:
        """Rows of one slice of each core."""
        first, *middle, last = self.factors
        return self.outer * first, *(self.rank * q for q in middle), self.outer * last


def chain_of(row: Sequence[int]) -> Chain:
    """Of a program row."""
    return Chain(
        tuple(row[column] for column in _DIM_FACTORS[: row[Column.U]]), row[Column.N], max(1, row[Column.SEED])
    )


def chain_addresses(ids: Tensor, row: Tensor, maps: Tensor | None, parts: int) -> Tensor:
    """First rows of the slices of ids int64 [n] under program rows [n, 17]: int64 [n, parts]."""
    known = torch.where(ids < row[:, Column.SIZE], ids, 0)
    below, digits = torch.ones_like(known), []
    for column in reversed(_ROW_FACTORS[:parts]):
        digits.append(known // below % row[:, column])
        below = below * row[:, column]
    start, found = row[:, Column.START], []
    for core, digit in enumerate(reversed(digits)):
        inner = row[:, Column.N] if 0 < core < parts - 1 else row[:, Column.SEED].clamp(min=1)
        each = row[:, _DIM_FACTORS[core]] * inner
        found.append(start + digit * each)
        start = start + row[:, _ROW_FACTORS[core]] * each
    return torch.stack(found, dim=1)


def slice_addresses(addresses: Tensor, chain: Chain) -> list[Tensor]:
    """Rows of the slices that begin at int64 [n, parts]: int64 [n, rows] per core; -1 stays -1."""
    found = []
    for core, rows in enumerate(chain.slice_rows):
        first = addresses[:, core, None]
        found.append(torch.where(first >= 0, first + torch.arange(rows, device=first.device), -1))
    return found


def chain_vectors(slices: Sequence[Tensor], chain: Chain) -> Tensor:
    """Vectors float32 [n, dim] of n values.

    Args:
        slices: float32 [n, rows, rank] per core.
        chain: their factors and rank.
    """
    left, last = _by_train(_products(slices, chain)[-1], chain), _by_train(slices[-1], chain)
    found = left.new_zeros(left.shape[0], left.shape[2], last.shape[2])
    for train in range(chain.outer):
        for r in range(chain.rank):
            found = found + left[:, train, :, r, None] * last[:, train, None, :, r]
    return found.flatten(1)


def _by_train(rows: Tensor, chain: Chain) -> Tensor:
    """From [n, rows of all trains, rank] to [n, trains, rows, rank]."""
    return rows.reshape(-1, chain.outer, rows.shape[1] // chain.outer, chain.rank)


def _products(slices: Sequence[Tensor], chain: Chain) -> list[Tensor]:
    """Of the first slice, the first two, ... and all but the last one: float32 [n, rows, rank] each."""
    (left, *middle, _), rank = slices, chain.rank
    found = [left]
    for own, q in zip(middle, chain.factors[1:-1], strict=True):
        product, rows = left.new_zeros(left.shape[0], left.shape[1], q * rank), own.reshape(-1, rank, q * rank)
        for r in range(rank):
            product = product + left[:, :, r, None] * rows[:, r, None, :]
        left = product.reshape(-1, left.shape[1] * q, rank)
        found.append(left)
    return found


def chain_gradients(slices: Sequence[Tensor], chain: Chain, grads: Tensor) -> list[Tensor]:
    """The gradient of each slice, float32 [n, rows, rank] per core, given that of the vectors, float32 [n, dim]."""
    *lefts, product = _products(slices, chain)
    left, last = _by_train(product, chain), _by_train(slices[-1], chain)
    grad = grads.reshape(-1, 1, left.shape[2], chain.factors[-1])
    found, grad = [(grad.mT @ left).flatten(1, 2)], (grad @ last).flatten(1, 2)
    for before, own in zip(reversed(lefts), reversed(slices[1:-1]), strict=True):
        rows, grad = own.reshape(own.shape[0], chain.rank, -1), grad.reshape(own.shape[0], before.shape[1], -1)
        found.append((before.mT @ grad).reshape(own.shape))
        grad = grad @ rows.mT
    return [grad, *reversed(found)]
