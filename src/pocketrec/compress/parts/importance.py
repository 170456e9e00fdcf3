"""How much an occurrence of an id says that it matters, in a unit that all tables share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["normalised"]


def normalised(importance: Tensor, tables: Tensor, count: int) -> Tensor:
    """Each number divided by the mean over its table, float32 [values]; 0 for tables of zeros.

    So an average occurrence counts 1 in every table and batch, whatever the loss is multiplied by. CAFE's published
    program does the same.

    Args:
        importance: float32 [values], gradient norms of one step.
        tables: int64 [values], below `count`.
        count: number of tables.
    """
    import torch  # here, not above: sizing answers without it

    sums = torch.zeros(count, dtype=torch.float64).index_add_(0, tables, importance.double())
    means = sums / torch.bincount(tables, minlength=count)
    return importance / torch.where(means > 0, means, torch.inf).float()[tables]
