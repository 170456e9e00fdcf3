"""Tensors out: from memory straight into a file, hashed on the way.

No second copy of a tensor is made. One that does not lie in memory as a file has it (transposed, strided, on a device)
is copied in blocks of its first axis, about 16 MiB at a time.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from pocketrec.artifact import files
from pocketrec.artifact.chunks import CHUNK_BYTES, ChunkHasher
from pocketrec.artifact.dtypes import ITEM_BYTES, name_of
from pocketrec.artifact.header import ALIGN_BYTES, PAGE_BYTES, TensorEntry, encode
from pocketrec.spec.errors import ArtifactError

__all__ = ["FILE_COUNT_LIMIT", "FILE_LIMIT_BYTES", "FilePlan", "Value", "plan_files", "write_plan", "write_tensors"]

Value = torch.Tensor | np.ndarray
"""What can be written: a torch tensor on any device, or a NumPy array (a memory map included)."""

FILE_LIMIT_BYTES = 4 * 2**30
FILE_COUNT_LIMIT = 99_999  # five digits in the names

# Other readers of safetensors (transformers among them) want to be told this.
_METADATA = {"format": "pt"}
_BLOCK_BYTES = 16 * 2**20
_ENTRY_TEXT_BYTES = 128  # of a tensor in a header, besides its name and shape: at most so many, its gap included


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePlan:
    """A file before it is written: every byte of it is decided.

    Attributes:
        head: length and header.
        entries: where the tensors will lie.
        values: the tensors, in that order.
    """

    head: bytes = field(repr=False)
    entries: tuple[TensorEntry, ...]
    values: tuple[Value, ...] = field(repr=False)

    @property
    def file_bytes(self) -> int:
        """Bytes of the whole file, gaps included."""
        return self.entries[-1].stop if self.entries else len(self.head)


def plan_files(tensors: Mapping[str, Value], *, limit_bytes: int = FILE_LIMIT_BYTES) -> tuple[FilePlan, ...]:
    """Lay tensors into as few files as their order allows, none above the limit.

    A tensor is never divided, because it could not be mapped in one piece then: one that is larger than the limit
    gets a file of its own. Without tensors there is one file, which holds none.

    Raises:
        ArtifactError: a name, a type or a form that an artifact does not hold.
    """
    if sys.byteorder != "little":
        raise ArtifactError("Artifacts are little endian, and this machine is not.")
    groups: list[dict[str, Value]] = [{}]
    taken = PAGE_BYTES
    for name, value in tensors.items():
        cost = _cost(name, value)
        if groups[-1] and taken + cost > limit_bytes:
            groups.append({})
            taken = PAGE_BYTES
        groups[-1][name] = value
        taken += cost
    if len(groups) > FILE_COUNT_LIMIT:
        raise ArtifactError(
            f"A part would take {len(groups):,} files of at most {limit_bytes:,} bytes; {FILE_COUNT_LIMIT:,} files are "
            "the most. Raise the limit."
        )
    return tuple(_plan(group) for group in groups)


def write_tensors(path: Path, tensors: Mapping[str, Value]) -> tuple[TensorEntry, ...]:
    """Write one new file, whatever its size, and return when it is on the disk.

    Any reader of safetensors opens it; `map_tensors` maps it. If the writing fails, the file is removed again. (An
    artifact is more: named by its content, hashed, and replaced in one step. See `save_artifact`.)

    Raises:
        ArtifactError: a tensor that cannot be written. FileExistsError: the name is taken. OSError: the disk.
    """
    plan = _plan(tensors)
    try:
        write_plan(path, plan)
    except FileExistsError:
        raise
    except BaseException:
        with suppress(OSError):
            files.remove(path)
        raise
    return plan.entries


def write_plan(path: Path, plan: FilePlan, *, chunk_bytes: int = CHUNK_BYTES) -> tuple[str, ...]:
    """Write a planned file under a new name, return when it is on the disk. Gives the hashes of its chunks."""
    hasher = ChunkHasher(chunk_bytes)
    file = files.create(path)
    try:
        _append(file, hasher, plan.head)
        end = len(plan.head)
        for entry, value in zip(plan.entries, plan.values, strict=True):
            _append(file, hasher, bytes(entry.offset - end))
            for piece in _pieces(value, entry.nbytes):
                _append(file, hasher, piece)
            end = entry.stop
        files.sync_file(file)
    finally:
        files.close(file)
    return hasher.hashes()


def _plan(tensors: Mapping[str, Value]) -> FilePlan:
    named = [(name, name_of(value, f"Tensor {name!r}"), tuple(value.shape)) for name, value in tensors.items()]
    for name, value in tensors.items():
        _check_form(name, value)
    head, entries = encode(named, _METADATA)
    return FilePlan(head=head, entries=entries, values=tuple(tensors.values()))


def _check_form(name: str, value: Value) -> None:
    if isinstance(value, torch.Tensor) and (value.layout != torch.strided or value.device.type == "meta"):
        raise ArtifactError(
            f"Tensor {name!r} is {value.layout} on {value.device}; an artifact holds dense tensors with values."
        )


def _cost(name: str, value: Value) -> int:
    """What a tensor adds to a file, at most."""
    data_bytes = math.prod(value.shape) * ITEM_BYTES[name_of(value, f"Tensor {name!r}")]
    text_bytes = len(json.dumps(name)) + 21 * len(value.shape) + _ENTRY_TEXT_BYTES
    return data_bytes + ALIGN_BYTES + text_bytes


def _append(file: int, hasher: ChunkHasher, data: memoryview | bytes) -> None:
    left = memoryview(data)
    while left:
        piece = left[: hasher.room_bytes]
        hasher.update(piece)
        files.write(file, piece)
        left = left[len(piece) :]


def _pieces(value: Value, nbytes: int) -> Iterator[memoryview]:
    """The bytes of a tensor, in order."""
    if nbytes == 0:
        return
    if value.ndim == 0 or _lies_flat(value):
        yield _bytes_of(value)
        return
    step = max(1, _BLOCK_BYTES * value.shape[0] // nbytes)
    for start in range(0, value.shape[0], step):
        yield _bytes_of(value[start : start + step])


def _lies_flat(value: Value) -> bool:
    if isinstance(value, torch.Tensor):
        return value.is_contiguous() and value.device.type == "cpu"
    return value.flags.c_contiguous


def _bytes_of(value: Value) -> memoryview:
    flat: np.ndarray
    if isinstance(value, torch.Tensor):
        flat = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    else:
        flat = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
    return flat.data
