"""Starting values of weights, from a seed and nothing else."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["bound", "generator", "stream", "uniform_"]

_MASK = 2**64 - 1


def stream(seed: int, *path: int) -> int:
    """A seed of its own for every path of numbers below one seed (group, table, role): 0 <= result < 2^63."""
    state = seed & _MASK
    for step in (*path, 0):
        state = (state + 0x9E3779B97F4A7C15 * (step + 1)) & _MASK
        state = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ state >> 27) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state >> 1


def generator(seed: int) -> torch.Generator:
    """A generator that nobody else draws from."""
    import torch  # here, not above: sizing answers without it

    made = torch.Generator()
    made.manual_seed(seed)
    return made


def bound(table: TableSpec, init: float | None) -> float:
    """Half-width of the uniform distribution of one looked-up number: `init`, or DLRM's sqrt(1 / rows).

    An open table has no number of rows; it starts like one of a million.
    """
    return init if init is not None else math.sqrt(1 / (table.rows or 1_000_000))


def uniform_(weights: Tensor, half_width: float, *, seed: int) -> None:
    """Fill with U(-half_width, half_width), in place."""
    weights.uniform_(-half_width, half_width, generator=generator(seed))
