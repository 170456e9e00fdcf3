"""The data of one lookup as one value, with the checks of its shapes and dtypes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, NoReturn

import torch
from torch import Tensor

from pocketrec.native.program import PROGRAM_COLUMNS, WEIGHTS_PER_SCALE, Column, Combining, Pooling, Storage
from pocketrec.native.sparse import SPARSE, check_stores, store_rows

__all__ = [
    "FLOATS",
    "SCHEMA",
    "Request",
    "bag_shape",
    "check_cores",
    "check_ids",
    "check_request",
    "check_value",
    "code_bytes",
    "row_width",
    "units",
]

FLOATS: Final = (torch.float32, torch.float16, torch.bfloat16)

_CODE_BITS: Final[dict[int, int]] = {Storage.INT4: 4, Storage.INT8: 8, Storage.INT16: 16}
_OF_STORES: Final = (*SPARSE, Storage.ENTRIES)
# float16 or float32 scale and bias
_SCALE_BYTES: Final[dict[int, int]] = {Storage.INT4: 4, Storage.INT8: 8, Storage.INT16: 8}

SCHEMA: Final = (
    "Tensor[] regions, Tensor ids, Tensor? offsets, Tensor? weights, Tensor program, Tensor? maps, "
    "int[] storages, int dim, int parts, int combining, int pooling"
)


class Request(NamedTuple):
    """The arguments that lookup, its gradients and compact share, in the order of their schemas.

    Attributes:
        regions: float32, float16 or bfloat16 [rows, dim], or uint8: [rows, 2 dim + 8] for storage int16,
            [rows, dim + 8] for int8 and [rows, ceil(dim / 2) + 4] for int4. For combining CONCAT one region: float
            [weights], or uint8 [ceil(weights / 64), n] with n of 136 for int16, 72 for int8 and 36 for int4. For
            combining CONTRACT one region whose rows are as wide as the rank. A packed sparse store is two regions, see
            `pocketrec.native.sparse`.
        ids: int64 [batch, columns], or int64 [values] with offsets.
        offsets: None, or int64 [fields * batch + 1]: bag i of field f is ``ids[offsets[k]:offsets[k + 1]]`` with
            k = f * batch + i; or int64 [fields, batch + 1]: bag i of field f is
            ``ids[offsets[f, i]:offsets[f, i + 1]]``. The second form picks some features of a larger input without
            copying ids.
        weights: float32 [values], a factor per value, or None; with offsets and pooling SUM only.
        program: int64 [fields, 17].
        maps: int32 or int64 [entries], or None when no field is mapped.
        storages: a `Storage` per region.
        dim: width of the vectors.
        parts: addresses per value.
        combining: a `Combining`.
        pooling: a `Pooling`.
    """

    regions: Sequence[Tensor]
    ids: Tensor
    offsets: Tensor | None
    weights: Tensor | None
    program: Tensor
    maps: Tensor | None
    storages: Sequence[int]
    dim: int
    parts: int
    combining: int
    pooling: int


def units(region: Tensor, storage: int, dim: int, combining: int) -> int:
    """Addresses of a region: its rows of `dim` numbers, or its weights when blocks are drawn from it."""
    if storage in SPARSE:
        return store_rows(region, storage, dim)
    if storage == Storage.ENTRIES:
        return 0
    if combining == Combining.CONCAT and storage != Storage.FLOAT:
        return region.shape[0] * WEIGHTS_PER_SCALE
    return region.shape[0]


def code_bytes(storage: int, width: int) -> int:
    """Bytes that the codes of a row of so many numbers take; scale and bias follow them."""
    return -(-width * _CODE_BITS[storage] // 8)


def row_width(region: Tensor, storage: int) -> int:
    """Numbers in a row of a region [rows, ...]; one more for int4 rows of an odd number."""
    if storage == Storage.FLOAT:
        return region.shape[1]
    return (region.shape[1] - _SCALE_BYTES[storage]) * 8 // _CODE_BITS[storage]


def _row_bytes(storage: int, width: int) -> int:
    return code_bytes(storage, width) + _SCALE_BYTES[storage]


def check_value(fits: bool, message: Callable[[], str]) -> None:
    """Raise ValueError with `message` where `fits` is false; under tracing, keep it as a condition on shapes."""
    if fits is not True:  # most calls end here
        torch._check_value(fits, message)  # type: ignore[no-untyped-call]  # torch has no types here


def bag_shape(ids: Tensor, offsets: Tensor | None, program: Tensor) -> tuple[int, int]:
    """(batch, fields) of a call; batch may be symbolic."""
    fields = program.shape[0]
    if offsets is None:
        return ids.shape[0], fields
    if offsets.dim() == 2:
        return offsets.shape[1] - 1, fields
    return (offsets.shape[0] - 1) // fields, fields


def check_ids(ids: Tensor, offsets: Tensor | None, program: Tensor, maps: Tensor | None, parts: int) -> None:
    """Refuse ids, offsets, programs or maps of a wrong shape or dtype.

    Raises:
        TypeError: a dtype that is not the documented one.
        ValueError: a shape that does not fit.
    """
    for tensor in (ids, offsets, program):
        if tensor is not None and tensor.dtype is not torch.int64:
            raise TypeError(f"ids, offsets and program must be int64, got {tensor.dtype} {_shape(tensor)}.")
    if program.dim() != 2 or program.shape[1] != PROGRAM_COLUMNS or program.shape[0] == 0:
        raise ValueError(f"program must be [fields, {PROGRAM_COLUMNS}] with at least one field, got {_shape(program)}.")
    if maps is not None and (maps.dtype not in (torch.int32, torch.int64) or maps.dim() != 1):
        raise TypeError(f"maps must be int32 or int64 of one dimension, got {maps.dtype} {_shape(maps)}.")
    if parts < 1:
        raise ValueError(f"parts must be at least 1, got {parts}.")
    if offsets is None:
        if ids.dim() != 2:
            raise ValueError(f"ids without offsets must be [batch, columns], got {_shape(ids)}. Bags need offsets.")
    elif ids.dim() != 1:
        raise ValueError(f"ids with offsets must be [values], got {_shape(ids)}.")
    else:
        _check_offsets(offsets, program.shape[0])


def _check_offsets(offsets: Tensor, fields: int) -> None:
    if offsets.dim() == 2:
        check_value(
            offsets.shape[0] == fields and offsets.shape[1] >= 1,
            lambda: f"offsets of {fields} fields must be [{fields}, batch + 1], got {_shape(offsets)}.",
        )
        return
    if offsets.dim() != 1:
        raise ValueError(f"offsets must be [fields * batch + 1] or [fields, batch + 1], got {_shape(offsets)}.")
    check_value(
        offsets.shape[0] >= 1 and (offsets.shape[0] - 1) % fields == 0,
        lambda: (
            f"offsets of {fields} fields must hold {fields} * batch + 1 numbers (the last one ends the last bag), "
            f"got {offsets.shape[0]}."
        ),
    )


def check_request(request: Request) -> None:
    """Refuse a request whose shapes, dtypes or codes do not fit together.

    Raises:
        TypeError: a dtype that is not the documented one.
        ValueError: a shape, a code or a combination that does not fit; NotImplementedError for an unknown storage.
    """
    check_ids(request.ids, request.offsets, request.program, request.maps, request.parts)
    _check_codes(request)
    dim, blocks = request.dim, request.combining == Combining.CONCAT
    if request.combining == Combining.CONTRACT:
        dim = row_width(request.regions[0], request.storages[0]) if request.regions[0].dim() == 2 else 1
    for number, (region, storage) in enumerate(zip(request.regions, request.storages, strict=True)):
        if not _region_fits(region, storage, dim, blocks) and storage not in _OF_STORES:
            _refuse_region(number, region, storage, dim, blocks)
    if any(storage in _OF_STORES for storage in request.storages):
        check_stores(request.regions, request.storages, dim)
    if request.weights is not None:
        _check_weights(request, request.weights)


def check_cores(request: Request) -> None:
    """Refuse cores whose rows are not as wide as the rank that the program says.

    Not a part of :func:`check_request`: it reads the program, which nobody who traces may.

    Raises:
        ValueError: names both.
    """
    if request.combining != Combining.CONTRACT:
        return
    rank, (region, *_), (storage, *_) = int(request.program[0, Column.N]), request.regions, request.storages
    if rank < 1 or not _region_fits(region, storage, rank, blocks=False):
        raise ValueError(f"cores of rank {rank} need rows of so many numbers, got {region.dtype} {_shape(region)}.")


def _check_weights(request: Request, weights: Tensor) -> None:
    if request.offsets is None or request.pooling != Pooling.SUM:
        raise ValueError("weights (a factor per value) need offsets and pooling SUM.")
    if weights.dtype is not torch.float32 or weights.dim() != 1:
        raise TypeError(f"weights must be float32 [values], got {weights.dtype} {_shape(weights)}.")
    check_value(
        weights.shape[0] == request.ids.shape[0],
        lambda: f"{request.ids.shape[0]} ids need as many weights, got {weights.shape[0]}.",
    )


def _check_codes(request: Request) -> None:
    regions, parts, combining, pooling = len(request.regions), request.parts, request.combining, request.pooling
    if regions == 0 or regions != len(request.storages):
        raise ValueError(
            f"{regions} regions and {len(request.storages)} storages: there must be as many, and at least one."
        )
    if request.dim < 1:
        raise ValueError(f"dim must be at least 1, got {request.dim}.")
    if not 0 <= combining <= 4 or not 0 <= pooling <= 3:
        raise ValueError(
            f"combining must be a code from 0 to 4 and pooling one from 0 to 3, got {combining} and {pooling}."
        )
    if (combining == Combining.COPY and parts != 1) or (combining == Combining.PRODUCT and parts != 2):
        raise ValueError(f"{Combining(combining).name} cannot combine {parts} parts (COPY takes 1, PRODUCT 2).")
    if combining in (Combining.CONCAT, Combining.CONTRACT) and regions != 1:
        raise ValueError(f"blocks, and slices of cores, are read from one region, got {regions}.")
    if combining in (Combining.CONCAT, Combining.CONTRACT) and request.storages[0] in _OF_STORES:
        raise ValueError("blocks, and slices of cores, cannot be read from a packed sparse store.")
    if request.offsets is None and pooling != Pooling.NONE:
        raise ValueError(f"pooling {Pooling(pooling).name} needs offsets; 2-D ids are one value per bag.")


def _region_fits(region: Tensor, storage: int, dim: int, blocks: bool) -> bool:
    if storage == Storage.FLOAT:
        if region.dtype not in FLOATS:
            return False
        shaped = region.dim() == 1 if blocks else region.dim() == 2 and region.shape[1] == dim
    else:
        if storage not in _CODE_BITS or region.dtype is not torch.uint8 or region.dim() != 2:
            return False
        shaped = region.shape[1] == _row_bytes(storage, WEIGHTS_PER_SCALE if blocks else dim)
    return shaped and region.is_contiguous()


def _refuse_region(number: int, region: Tensor, storage: int, dim: int, blocks: bool) -> NoReturn:
    if storage not in (Storage.FLOAT, *_CODE_BITS):
        raise NotImplementedError(
            f"region {number}: storage code {storage} is unknown. Implemented: 0 (float), 4 (int4), 8 (int8), "
            "9 (int16), and 16, 17 and 20 (packed sparse)."
        )
    if storage != Storage.FLOAT:
        dtypes: tuple[torch.dtype, ...] = (torch.uint8,)
        wanted = f"uint8 [rows, {_row_bytes(storage, WEIGHTS_PER_SCALE if blocks else dim)}]"
    else:
        dtypes = FLOATS
        wanted = "float32, float16 or bfloat16 " + ("[weights]" if blocks else f"[rows, {dim}]")
    kind = ValueError if region.dtype in dtypes else TypeError
    raise kind(
        f"region {number} must be {wanted} and contiguous, got {region.dtype} {_shape(region)} "
        f"with strides {list(region.stride())}."
    )


def _shape(tensor: Tensor) -> list[int]:
    return list(tensor.shape)
