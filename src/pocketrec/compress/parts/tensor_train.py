"""Tensor trains, and rings: factors of rows and dim, starting values, and the train nearest to a dense table."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal, get_args

from pocketrec.compress.parts.init import generator

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "START_VALUES",
    "StartValues",
    "core_rows",
    "decompose",
    "dim_factors",
    "row_factors",
    "start_values",
]

StartValues = Literal["tail_normal", "normal", "published"]
START_VALUES: Final[tuple[str, ...]] = get_args(StartValues)

_TAIL: Final = 2.0
_BELOW_TAIL: Final = math.erfc(_TAIL / math.sqrt(2)) / 2  # probability of a number below -2
# E[x^2 | |x| > t] = 1 + t phi(t) / Phi(-t) of a standard normal x, 5.7464 for t = 2
_TAIL_VARIANCE: Final = 1 + _TAIL * math.exp(-(_TAIL**2) / 2) / math.sqrt(2 * math.pi) / _BELOW_TAIL


def row_factors(rows: int, cores: int) -> tuple[int, ...]:
    """Factors whose product is at least `rows`, near its root, as the VLDB 2024 benchmark finds them.

    >>> row_factors(10_131_227, 3), row_factors(24, 3), row_factors(7, 2)
    ((216, 217, 217), (3, 3, 3), (3, 3))
    """
    found: list[int] = []
    left = float(rows)
    for core in range(cores, 1, -1):
        factor = _ceil_root(left, core)
        found.append(factor)
        left /= factor
    return math.ceil(left - 1e-9), *reversed(found)


def _ceil_root(number: float, power: int) -> int:
    """The least whole number whose power is at least `number`."""
    root = max(1, round(math.pow(number, 1 / power)))
    return root if math.pow(root, power) >= number else root + 1


@functools.cache
def dim_factors(dim: int, cores: int) -> tuple[int, ...]:
    """Factors whose product is `dim`, as even as can be, rising: first slices are short, and their product is cheap.

    >>> dim_factors(16, 3), dim_factors(64, 3), dim_factors(6, 3), dim_factors(7, 2), dim_factors(128, 4)
    ((2, 2, 4), (4, 4, 4), (1, 2, 3), (1, 7), (2, 4, 4, 4))
    """
    if cores == 1:
        return (dim,)
    splits = [(n, *dim_factors(dim // n, cores - 1)) for n in range(1, dim + 1) if dim % n == 0]
    return min((tuple(sorted(split)) for split in splits), key=lambda split: (sum(split), split))


def core_rows(row: Sequence[int], dim: Sequence[int], rank: int, *, outer: int = 1) -> list[int]:
    """Rows of `rank` numbers of each core of a table; `outer` is the rank that closes a ring, 1 for a train."""
    last = len(row) - 1
    return [p * q * (rank if 0 < core < last else outer) for core, (p, q) in enumerate(zip(row, dim, strict=True))]


def start_values(
    rows: Tensor, how: StartValues, deviation: float, *, rank: int, cores: int, outer: int = 1, seed: int
) -> None:
    """Draw the cores of one table, in place.

    A number of a vector is the sum over outer x rank^(cores - 1) paths of products of `cores` numbers, so it has the
    variance deviation^2 where each of them has that to the power of 1 / cores, divided by as many roots of the paths.

    Args:
        rows: float32 [rows of all cores, rank].
        how: from which distribution.
        deviation: standard deviation of the numbers of a vector.
        rank, cores: of the train.
        outer: the rank that closes a ring, 1 for a train.
        seed: of what is drawn.
    """
    import torch  # here, not above: sizing answers without it

    scale = deviation ** (1 / cores)
    if how != "published":
        scale *= rank ** -((cores - 1) / (2 * cores)) * outer ** -(1 / (2 * cores))
    draw = generator(seed)
    if how == "normal":
        rows.normal_(0.0, scale, generator=draw)
        return
    if how == "tail_normal":
        scale /= math.sqrt(_TAIL_VARIANCE)
    uniform = torch.rand(rows.shape, generator=draw, dtype=torch.float64).clamp_(min=1e-12)
    below = torch.erfinv(2 * _BELOW_TAIL * uniform - 1) * math.sqrt(2)  # below -2
    signs = torch.randint(0, 2, rows.shape, generator=draw, dtype=torch.float64) * 2 - 1
    rows.copy_(below * signs * scale)


def decompose(dense: Tensor, row: Sequence[int], dim: Sequence[int], *, into: Tensor) -> None:
    """The train nearest to a table, core by core from the first on (TT-SVD); written over `into`.

    Args:
        dense: float32 [rows, dim].
        row, dim: factors, one per core.
        into: float32 [rows of all cores, rank], as `pocketrec.native.chain` reads them.
    """
    import torch  # here, not above: sizing answers without it

    rank, cores = into.shape[1], len(row)
    padded = torch.zeros(math.prod(row), dense.shape[1])
    padded[: dense.shape[0]] = dense
    # from [i1, i2, ..., j1, j2, ...] to [i1, j1, i2, j2, ...]
    order = [axis for core in range(cores) for axis in (core, cores + core)]
    left = padded.view(*row, *dim).permute(*order).reshape(row[0] * dim[0], -1)
    pieces, before = torch.split(into, core_rows(row, dim, rank)), 1
    for core in range(cores - 1):
        basis = _leading(left, rank)  # [before x p x q, kept]
        kept = basis.shape[1]
        piece = torch.zeros(before, row[core], dim[core], rank)
        piece[..., :kept] = basis.view(before, row[core], dim[core], kept)
        full = torch.zeros(rank if core else 1, row[core], dim[core], rank)
        full[:before] = piece
        pieces[core].copy_(full.transpose(0, 1).reshape(-1, rank))
        left, before = (basis.T @ left).view(kept * row[core + 1] * dim[core + 1], -1), kept
    last = torch.zeros(rank, row[-1], dim[-1])
    last[:before] = left.view(before, row[-1], dim[-1])
    pieces[-1].copy_(last.permute(1, 2, 0).reshape(-1, rank))


def _leading(matrix: Tensor, rank: int) -> Tensor:
    """An orthonormal basis of the leading left singular vectors, at most `rank`: float32 [rows, kept]."""
    import torch  # here, not above: sizing answers without it

    wide = matrix.double()
    if wide.shape[0] <= wide.shape[1]:
        basis = torch.linalg.eigh(wide @ wide.T).eigenvectors.flip(1)
    else:
        basis = torch.linalg.svd(wide, full_matrices=False).U
    found: Tensor = basis[:, :rank].float()
    return found
