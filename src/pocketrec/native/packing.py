"""Hand tensors to the compiled kernels: contiguous, and as addresses of their data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import torch
from torch import Tensor

from pocketrec.native.request import Request
from pocketrec.native.sparse import SPARSE
from pocketrec.native.threads import threads

__all__ = ["Packed", "contiguous", "pack", "pack_ids", "require_cpu"]

_Numbers = list[int]
Packed = tuple[_Numbers, _Numbers, _Numbers, _Numbers]

_FLOAT_CODES: Final = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}  # enum pr_storage in csrc/pocketrec.h


def _plain(tensor: Tensor) -> Tensor:
    return tensor if tensor.is_contiguous() else tensor.contiguous()


def require_cpu(tensors: Iterable[Tensor | None]) -> None:
    """Refuse tensors that do not lie in the memory that kernels can read.

    Raises:
        ValueError: names the other device.
    """
    for tensor in tensors:
        if tensor is not None and not tensor.is_cpu:
            raise ValueError(f"all tensors of a call must be on one device, found cpu and {tensor.device}.")


def contiguous(request: Request) -> Request:
    """The request with contiguous tensors. Keep it alive while a kernel runs: `pack` holds addresses only."""
    _, ids, offsets, weights, program, maps, *_ = request
    if (
        ids.is_contiguous()
        and program.is_contiguous()
        and (offsets is None or offsets.is_contiguous())
        and (weights is None or weights.is_contiguous())
        and (maps is None or maps.is_contiguous())
    ):
        return request
    return request._replace(
        ids=_plain(ids),
        program=_plain(program),
        offsets=None if offsets is None else _plain(offsets),
        weights=None if weights is None else _plain(weights),
        maps=None if maps is None else _plain(maps),
    )


def pack_ids(ids: Tensor, offsets: Tensor | None, program: Tensor, maps: Tensor | None) -> _Numbers:
    """The numbers that stand first in the request of csrc/bindings.cpp; its weights are none."""
    fields = program.shape[0]
    if offsets is None:
        batch, columns = ids.shape
        stride = start = 0
    else:
        columns, start = ids.shape[0], offsets.data_ptr()
        jagged = offsets.dim() == 1
        batch = (offsets.shape[0] - 1) // fields if jagged else offsets.shape[1] - 1
        stride = batch if jagged else batch + 1
    numbers = [ids.data_ptr(), batch, columns, start, stride, 0, program.data_ptr(), fields]
    numbers += (0, 8, 0) if maps is None else (maps.data_ptr(), maps.element_size(), maps.shape[0])
    return numbers


def pack(request: Request) -> Packed:
    """(data, rows, storages of the regions; all else), as csrc/bindings.cpp reads it.

    Args:
        request: checked, and `contiguous`.

    Raises:
        ValueError: a tensor on another device than the CPU.
    """
    regions, ids, offsets, weights, program, maps, storages, dim, parts, combining, pooling = request
    require_cpu((*regions, ids, offsets, weights, program, maps))
    numbers = pack_ids(ids, offsets, program, maps)
    if weights is not None:
        numbers[5] = weights.data_ptr()
    numbers += (dim, parts, combining, pooling, threads())
    data, rows, codes = [], [], []
    for region, storage in zip(regions, storages, strict=True):
        data.append(region.data_ptr())
        rows.append(region.shape[0])
        wide = 2 if storage in SPARSE and region.dtype is torch.int64 else 0
        codes.append(storage + wide or _FLOAT_CODES[region.dtype])
    return data, rows, codes, numbers
