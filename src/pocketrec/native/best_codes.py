"""The codeword that each block of a row chooses, of a codebook per block.

Numbers are added up one after the other, so that a row chooses the same in whatever company, by whatever backend, and
with any number of threads it is asked for; of several codewords that are equal the first is chosen.
"""

from __future__ import annotations

from typing import Final, Literal

import torch
from torch import Tensor

from pocketrec.native.binding import kernels_for
from pocketrec.native.eager import is_eager
from pocketrec.native.request import check_value
from pocketrec.native.threads import threads

__all__ = ["best_codes"]

_AT_ONCE: Final = (
    1 << 16
)  # distances that stand in memory together: a few hundred kilobytes, which a core's cache holds


def best_codes(
    queries: Tensor, words: Tensor, by: Literal["distance", "product"], limits: Tensor | None = None
) -> Tensor:
    """Numbers of codewords: int64 [n, blocks]; without a gradient.

    Args:
        queries: float32 [n, blocks, block], finite.
        words: float32 [blocks, codewords, block], finite.
        by: the least squared distance, or the largest inner product.
        limits: int64 [n], among how many of the first codewords each row chooses, 1 or more; None for all of them.

    Raises:
        TypeError, ValueError: what does not fit, with numbers.

    >>> words = torch.tensor([[[0.0], [1.0], [2.0]]])
    >>> best_codes(torch.tensor([[[1.8]], [[1.8]]]), words, "distance", torch.tensor([3, 2])).tolist()
    [[2], [1]]
    """
    _check(queries, words, limits)
    with torch.no_grad():
        if not is_eager(queries):
            return _reference(queries, words, by, limits)
        kernels = kernels_for(queries)
        if kernels is None:
            rows = max(1, _AT_ONCE // words.shape[1])
            parts = [slice(start, start + rows) for start in range(0, max(1, len(queries)), rows)]
            most = [None if limits is None else limits[part] for part in parts]
            return torch.cat([_reference(queries[p], words, by, m) for p, m in zip(parts, most, strict=True)])
        queries, words = queries.contiguous(), words.mT.contiguous()
        limits = None if limits is None else limits.contiguous()
        out = torch.empty(queries.shape[:2], dtype=torch.int64)
        kernels.best_codes(
            queries.data_ptr(), *queries.shape, words.data_ptr(), words.shape[2], by == "product",
            0 if limits is None else limits.data_ptr(), threads(), out.data_ptr(),
        )  # fmt: skip
        return out


def _check(queries: Tensor, words: Tensor, limits: Tensor | None) -> None:
    if queries.dtype is not torch.float32 or words.dtype is not torch.float32:
        raise TypeError(f"queries and words must be float32, got {queries.dtype} and {words.dtype}.")
    check_value(
        queries.dim() == words.dim() == 3 and words.shape[0] == queries.shape[1] and words.shape[2] == queries.shape[2]
        and words.shape[1] > 0,
        lambda: "queries must be [n, blocks, block] and words [blocks, codewords, block], got "
        f"{list(queries.shape)} and {list(words.shape)}.",
    )  # fmt: skip
    if limits is not None:
        if limits.dtype is not torch.int64:
            raise TypeError(f"limits must be int64, got {limits.dtype}.")
        check_value(
            limits.dim() == 1 and limits.shape[0] == queries.shape[0],
            lambda: f"limits must be [{queries.shape[0]}], a number per row, got {list(limits.shape)}.",
        )


def _reference(queries: Tensor, words: Tensor, by: str, limits: Tensor | None) -> Tensor:
    found = []
    hidden = None if limits is None else torch.arange(words.shape[1]) >= limits[:, None]
    for own, theirs in zip(queries.unbind(1), words.mT.contiguous().unbind(0), strict=True):
        total = own.new_zeros(own.shape[0], theirs.shape[1])
        for number, other in zip(own.unbind(1), theirs.unbind(0), strict=True):
            if by == "distance":
                apart = number[:, None] - other
                total += apart.mul_(apart)
            else:
                total -= number[:, None] * other
        found.append((total if hidden is None else total.masked_fill(hidden, torch.inf)).argmin(dim=1))
    return torch.stack(found, dim=1)
