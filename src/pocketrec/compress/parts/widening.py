"""Narrow rows of a table times a matrix of its own: starting values, and the best pair for a dense table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pocketrec.compress.parts.init import stream, uniform_

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group

__all__ = ["low_rank", "start_matrices"]


def start_matrices(group: Group, name: str, *, seed: int) -> None:
    """Fill the matrices [tables, width, dim]: widened numbers begin with the variance of the narrow ones.

    A widened number is a sum of `width` products, so entries have variance 1/width.
    """
    matrices = group.tensor(name).data
    for index, matrix in enumerate(matrices):
        uniform_(matrix, math.sqrt(3 / matrices.shape[1]), seed=stream(seed, index, 1))


def low_rank(dense: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Rows [n, width] and a matrix [width, dim] whose product is the nearest to float32 [n, dim] (truncated SVD)."""
    import torch  # here, not above: sizing answers without it

    _, vectors = torch.linalg.eigh(dense.double().T @ dense.double())
    basis = vectors[:, -width:].flip(1).float()
    return dense @ basis, basis.T
