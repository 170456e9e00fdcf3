"""First-order weights, that stand last in the rows of tables."""

from __future__ import annotations

from torch import Tensor

from pocketrec.spec.errors import OptionError

__all__ = ["split_rows", "vector_width"]


def vector_width(table_dim: int) -> int:
    """Numbers of the vector in a row that ends with a first-order weight.

    Raises:
        OptionError: rows of one number, which have no room for a vector.
    """
    if table_dim < 2:
        raise OptionError(
            f"Rows of this model hold a vector and a first-order weight, the tables have dim {table_dim}. "
            "Make tables of the model's vector_dim(dim)."
        )
    return table_dim - 1


def split_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors [batch, columns, dim], and the sum of the first-order weights [batch], from [batch, columns, dim + 1].

    A bag's weight is pooled as its vector is: summed, or averaged over its values.
    """
    return rows[:, :, :-1], rows[:, :, -1].sum(dim=1)
