"""Lookups of one access over and over, and their pairs: what stays the same is checked and packed once.

The ops ``pocketrec::lookup_frozen`` and ``pocketrec::compact`` take everything at each call, and torch's dispatcher
carries it: some 30 microseconds, several times what a row of a model's tables takes. Where nobody traces, wraps or
profiles a call (`pocketrec.native.eager.is_eager`) it may come here instead; the numbers are the same to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor

from pocketrec.native.compact import check_gradient, room_of, run_compact
from pocketrec.native.packing import Packed, contiguous, pack, require_cpu
from pocketrec.native.program import Combining
from pocketrec.native.request import Request, check_cores, check_ids, check_request
from pocketrec.native.threads import threads

__all__ = ["Prepared"]


@final
class Prepared:
    """Lookups of ids [batch, columns] in these regions.

    Args:
        regions, program, maps, storages, dim, parts, combining: as in `pocketrec.native.request.Request`, contiguous
            and on the CPU. Their numbers may change; tensors that take their place need another `Prepared`.

    Attributes:
        shape: fields, and numbers per vector.
        row_parts: addresses of rows per id; 0 where vectors are blocks.

    Raises:
        TypeError, ValueError: what does not fit, as the op.
    """

    __slots__ = ("_about", "_held", "_program", "_regions", "_request", "_room", "row_parts", "shape")

    def __init__(
        self, regions: Sequence[Tensor], program: Tensor, maps: Tensor | None, storages: Sequence[int], dim: int,
        parts: int, combining: int,
    ) -> None:  # fmt: skip
        request = Request(
            regions, program.new_empty((0, 1)), None, None, program, maps, storages, dim, parts, combining, 0
        )
        check_request(request)
        check_cores(request)
        if contiguous(request) is not request:
            raise ValueError("program and maps must be contiguous: a copy would not see their numbers change.")
        *self._regions, numbers = pack(request)
        self._about = numbers[3:-1]  # all that follows ids, batch and columns, but the number of threads
        self._held = (*regions, maps)  # their memory
        self._request, self._room = request, room_of(request)
        self._program, self.shape = program, (program.shape[0], dim)
        self.row_parts = 0 if combining == Combining.CONCAT else parts

    def packed(self) -> tuple[list[int], list[int], list[int], list[int]]:
        """Data, rows and storages of the regions, and all other numbers, as csrc/bindings.cpp reads them: one thread,
        no ids."""
        data, rows, storages = self._regions
        return data, rows, storages, [0, 0, 0, *self._about, 1]

    def fitting(self, ids: Tensor) -> Tensor:
        """The ids, contiguous; raises what the op raises where they are not int64 [batch, columns]."""
        if ids.dtype is not torch.int64 or ids.dim() != 2:
            check_ids(ids, None, self._program, None, 1)
        return ids if ids.is_contiguous() else ids.contiguous()

    def __call__(self, kernels: Any, ids: Tensor) -> Tensor:
        """Vectors float32 [batch, fields, dim] of ids int64 [batch, columns]; raises what the op raises."""
        ids = self.fitting(ids)
        out = torch.empty((ids.shape[0], *self.shape), dtype=torch.float32)
        kernels.lookup(*self._call(ids), out.data_ptr())
        return out

    def compact(self, kernels: Any, grad: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What `pocketrec.native.compact` returns for the gradient of such a call; raises what the op raises."""
        ids, batch = self.fitting(ids), ids.shape[0]
        if grad.dtype is not torch.float32 or grad.shape != (batch, *self.shape):
            check_gradient(grad, self._request._replace(ids=ids))
        require_cpu((grad,))
        values = batch * self.shape[0]
        return run_compact(kernels, self._call(ids), grad.contiguous(), None, self._room, values)

    def _call(self, ids: Tensor) -> Packed:
        data, rows, storages = self._regions
        batch, columns = ids.shape
        return data, rows, storages, [ids.data_ptr(), batch, columns, *self._about, threads()]
