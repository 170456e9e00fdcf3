"""Storage: the contract of a number format for rows and for shared arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from pocketrec.spec.sizing import DTYPE_BYTES

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ARRAY_BLOCK", "FloatStorage", "Storage"]

# A shared array has no rows; quantised storages give a scale to every 64 consecutive weights.
ARRAY_BLOCK = 64


class Storage(ABC):
    """A number format. Rows are [rows, width], a shared array is [weights].

    Attributes:
        name: the file's name.
        code: what the native ops call it: 0 float (the dtype tells), 16 int16 rows, 8 int8 rows, 4 int4 rows.
        dtype: of the stored tensor, a key of ``DTYPE_BYTES``.
        trained_as: dtype of the training form; equal to `dtype` when it is trained in its own type, else the weights
            are kept in this type while training and converted when frozen. A name of a storage.
        array_trained_as: the same for shared arrays, where it differs.
        rounds_reads: whether rows, trained as float32, are read as :meth:`seen` says while they train.
        learns_scales: whether scales of rows trained in their own type learn (`pocketrec.native.learned_scale`); else
            they are fitted in every update.
        learns_steps: whether rows that are rounded when read have a step that learns, of which training keeps one each
            (`pocketrec.compress.storage._learned_step`).
    """

    name: ClassVar[str]
    code: ClassVar[int]
    dtype: ClassVar[str]
    trained_as: ClassVar[str] = "float32"
    array_trained_as: ClassVar[str | None] = None
    rounds_reads: ClassVar[bool] = False
    learns_scales: ClassVar[bool] = False
    learns_steps: ClassVar[bool] = False

    @abstractmethod
    def rows_shape(self, rows: int, width: int) -> tuple[int, ...]:
        """Shape of the stored tensor for a table of rows x width."""

    @abstractmethod
    def array_shape(self, weights: int) -> tuple[int, ...]:
        """Shape of the stored tensor for a shared array."""

    @abstractmethod
    def encode(self, rows: Tensor) -> Tensor:
        """float32 [rows, width] to the stored tensor."""

    @abstractmethod
    def decode(self, stored: Tensor, width: int) -> Tensor:
        """The stored tensor to float32 [rows, width]."""

    @abstractmethod
    def step_size(self, rows: Tensor) -> Tensor:
        """Largest absolute error that encoding may make per row of float32 [rows, width]: float32 [rows, 1]."""

    def seen(self, rows: Tensor) -> Tensor:
        """What rows float32 [n, width] are read as while they train: as they would be served.

        The gradient goes straight through: that of the result is that of the rows.
        """
        served = self.decode(self.encode(rows.detach()), rows.shape[1])
        return rows + (served - rows).detach()

    def encode_array(self, weights: Tensor) -> Tensor:
        """float32 [weights] to the stored tensor of the shared array."""
        return self.encode(_as_rows(weights)).reshape(self.array_shape(weights.shape[0]))

    def decode_array(self, stored: Tensor, weights: int) -> Tensor:
        """The stored tensor of a shared array to float32 [weights]."""
        return self.decode(stored, ARRAY_BLOCK).reshape(-1)[:weights]

    def row_bytes(self, width: int) -> int:
        """Bytes of one stored row, scales included."""
        return self.rows_shape(1, width)[1] * DTYPE_BYTES[self.dtype]

    def most_weights(self, budget_bytes: int) -> int:
        """The longest shared array that fits into so many bytes."""
        block_bytes = self.row_bytes(ARRAY_BLOCK)
        return budget_bytes // block_bytes * ARRAY_BLOCK


class FloatStorage(Storage):
    """Plain floats of some width; the parent of float32, float16 and bfloat16."""

    code = 0
    relative_error: ClassVar[float]
    element_bytes: ClassVar[int]

    def rows_shape(self, rows: int, width: int) -> tuple[int, ...]:
        return (rows, width)

    def array_shape(self, weights: int) -> tuple[int, ...]:
        return (weights,)

    def encode(self, rows: Tensor) -> Tensor:
        import torch  # here, not above: sizing answers without it

        dtype = getattr(torch, self.dtype)
        limit = torch.finfo(dtype).max
        return rows.clamp(-limit, limit).to(dtype)

    def decode(self, stored: Tensor, width: int) -> Tensor:
        return stored.float()

    def step_size(self, rows: Tensor) -> Tensor:
        import torch  # here, not above: sizing answers without it

        smallest = torch.finfo(getattr(torch, self.dtype)).smallest_normal
        return rows.abs().amax(dim=1, keepdim=True) * self.relative_error + smallest

    def encode_array(self, weights: Tensor) -> Tensor:
        return self.encode(weights)

    def decode_array(self, stored: Tensor, weights: int) -> Tensor:
        return self.decode(stored, 1)

    def most_weights(self, budget_bytes: int) -> int:
        return budget_bytes // self.element_bytes


def _as_rows(weights: Tensor) -> Tensor:
    """A shared array as rows of 64; the last weight fills the last row up, so that its scale is unharmed."""
    import torch

    short = -weights.shape[0] % ARRAY_BLOCK
    if short:
        weights = torch.cat([weights, weights[-1:].expand(short)])
    return weights.reshape(-1, ARRAY_BLOCK)
