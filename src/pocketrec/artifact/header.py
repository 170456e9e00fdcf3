"""The header of a tensor file: where every tensor lies. Written by us, read from anybody.

The form is safetensors: 8 bytes length (little endian), that many bytes of JSON, then the data without holes. Two
things are ours, both within that form, so that a file can be mapped and shared as it lies:

* the header is filled up with spaces, so that the data starts at a page boundary (4,096 bytes);
* every tensor starts at a multiple of 64 bytes (a cache line, and the width of AVX-512). As the form allows no holes,
  the gaps are tensors of their own, ``__pad_0``, ``__pad_1`` ..., of 1 to 63 zero bytes. They are not among the
  entries.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pocketrec.artifact import strict_json
from pocketrec.artifact.dtypes import CODES, ITEM_BYTES, NAMES
from pocketrec.spec.errors import ArtifactCorrupt, ArtifactError

__all__ = [
    "ALIGN_BYTES",
    "HEADER_LIMIT_BYTES",
    "PAGE_BYTES",
    "TensorEntry",
    "check_name",
    "decode",
    "encode",
    "is_shape",
]

PAGE_BYTES = 4096
ALIGN_BYTES = 64
# The header of a file with 20,000 tensors has 2 MB. The limit bounds what a hostile file can make us read and parse.
HEADER_LIMIT_BYTES = 4 * 2**20

_LENGTH_BYTES = 8
_AXES_LIMIT = 16
_PAD = "__pad_"
# No stride of a tensor may overflow int64, also when some axis is empty.
_ELEMENTS_LIMIT = 2**60


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorEntry:
    """One tensor in a file.

    Attributes:
        name: unique within its part.
        dtype: a key of :data:`pocketrec.artifact.dtypes.ITEM_BYTES`.
        shape: numbers of elements per axis.
        offset: of its first byte, from the start of the file; a multiple of 64.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def nbytes(self) -> int:
        """Bytes of the elements, without padding."""
        return math.prod(self.shape) * ITEM_BYTES[self.dtype]

    @property
    def stop(self) -> int:
        """Offset after its last byte."""
        return self.offset + self.nbytes


def check_name(name: str) -> None:
    """ArtifactError for a name that no tensor should have: empty, above 512 letters, unprintable, or one of ours."""
    if not name or len(name) > 512 or not name.isprintable() or name.startswith("__"):
        raise ArtifactError(
            f"A tensor cannot be called {name[:80]!r}: its name must have 1 to 512 printable letters and not start "
            "with '__'."
        )


def is_shape(value: Any) -> bool:
    """Whether this is a list of sizes whose product no arithmetic can overflow."""
    if not isinstance(value, list) or len(value) > _AXES_LIMIT:
        return False
    if any(type(size) is not int or not 0 <= size <= _ELEMENTS_LIMIT for size in value):
        return False
    elements: int = math.prod(max(size, 1) for size in value)
    return elements <= _ELEMENTS_LIMIT


def encode(
    tensors: Sequence[tuple[str, str, tuple[int, ...]]], metadata: Mapping[str, str]
) -> tuple[bytes, tuple[TensorEntry, ...]]:
    """The first bytes of a file (length, JSON, spaces) and where its tensors will lie.

    Args:
        tensors: name, dtype and shape of each, in the order of the file.
        metadata: strings for other readers of the format; ours does not use them.
    """
    table: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end, pads, starts = 0, 0, []
    for name, dtype, shape in tensors:
        check_name(name)
        if gap := -end % ALIGN_BYTES:
            table[f"{_PAD}{pads}"] = _item("uint8", (gap,), end)
            end, pads = end + gap, pads + 1
        table[name] = _item(dtype, shape, end)
        starts.append(end)
        end = table[name]["data_offsets"][1]
    text = json.dumps(table, separators=(",", ":"), ensure_ascii=True).encode("ascii")
    data_start = -(-(_LENGTH_BYTES + len(text)) // PAGE_BYTES) * PAGE_BYTES
    length = data_start - _LENGTH_BYTES
    if length > HEADER_LIMIT_BYTES:
        raise ArtifactError(
            f"{len(tensors):,} tensors need a header of {length:,} bytes, above {HEADER_LIMIT_BYTES:,}."
        )
    entries = tuple(
        TensorEntry(name=name, dtype=dtype, shape=shape, offset=data_start + start)
        for (name, dtype, shape), start in zip(tensors, starts, strict=True)
    )
    return length.to_bytes(_LENGTH_BYTES, "little") + text.ljust(length), entries


def decode(head: bytes, file_bytes: int, what: str) -> tuple[TensorEntry, ...]:
    """The tensors of a file, in its order.

    Args:
        head: the file's first bytes: the length, and as much of the header as there is.
        file_bytes: the file's true size.
        what: names the file in errors.

    Raises:
        ArtifactCorrupt: anything that a file of ours cannot say. Nothing is allocated by the numbers in it.
    """
    length = header_length(head, file_bytes, what)
    table = strict_json.parse(head[_LENGTH_BYTES : _LENGTH_BYTES + length], f"The header of {what}")
    if not isinstance(table, dict):
        raise ArtifactCorrupt(f"The header of {what} is not an object.")
    _check_metadata(table.pop("__metadata__", {}), what)
    data_start = _LENGTH_BYTES + length
    if data_start % PAGE_BYTES:
        raise ArtifactCorrupt(f"{what}: the data starts at byte {data_start:,}, not at a multiple of {PAGE_BYTES:,}.")
    entries = sorted((_entry(name, item, data_start, what) for name, item in table.items()), key=_place)
    _check_no_holes(entries, data_start, file_bytes, what)
    return tuple(entry for entry in entries if not entry.name.startswith(_PAD))


def header_length(head: bytes, file_bytes: int, what: str) -> int:
    """What the first 8 bytes say, if it can be true. ArtifactCorrupt otherwise."""
    if len(head) < _LENGTH_BYTES:
        raise ArtifactCorrupt(f"{what} has {len(head)} bytes; a tensor file starts with 8 bytes of length.")
    length = int.from_bytes(head[:_LENGTH_BYTES], "little")
    if length > min(HEADER_LIMIT_BYTES, file_bytes - _LENGTH_BYTES):
        raise ArtifactCorrupt(
            f"{what} claims a header of {length:,} bytes; the file has {file_bytes:,} bytes, and no header may have "
            f"above {HEADER_LIMIT_BYTES:,}."
        )
    return length


def _place(entry: TensorEntry) -> tuple[int, int]:
    return entry.offset, entry.stop  # an empty tensor lies before the one that starts at the same byte


def _item(dtype: str, shape: tuple[int, ...], start: int) -> dict[str, Any]:
    stop = start + math.prod(shape) * ITEM_BYTES[dtype]
    return {"dtype": CODES[dtype], "shape": list(shape), "data_offsets": [start, stop]}


def _check_metadata(metadata: Any, what: str) -> None:
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise ArtifactCorrupt(f"The metadata of {what} are not strings.")


def _entry(name: str, item: Any, data_start: int, what: str) -> TensorEntry:
    if not isinstance(item, dict) or set(item) != {"dtype", "shape", "data_offsets"}:
        raise ArtifactCorrupt(f"{what}: tensor {name[:80]!r} needs exactly dtype, shape and data_offsets.")
    dtype, shape, offsets = item["dtype"], item["shape"], item["data_offsets"]
    if not isinstance(dtype, str) or dtype not in NAMES:
        raise ArtifactCorrupt(
            f"{what}: tensor {name[:80]!r} has the dtype {str(dtype)[:80]!r}, not one of {', '.join(NAMES)}."
        )
    if not is_shape(shape):
        raise ArtifactCorrupt(f"{what}: tensor {name[:80]!r} has an impossible shape {str(shape)[:80]}.")
    if not (
        isinstance(offsets, list) and len(offsets) == 2 and all(type(at) is int and 0 <= at < 2**63 for at in offsets)
    ):
        raise ArtifactCorrupt(f"{what}: tensor {name[:80]!r} has impossible offsets {str(offsets)[:80]}.")
    entry = TensorEntry(name=name, dtype=NAMES[dtype], shape=tuple(shape), offset=data_start + offsets[0])
    if entry.nbytes != offsets[1] - offsets[0]:
        raise ArtifactCorrupt(
            f"{what}: tensor {name[:80]!r} has {entry.nbytes:,} bytes by its shape and "
            f"{offsets[1] - offsets[0]:,} by its offsets."
        )
    _check_place(entry, what)
    return entry


def _check_place(entry: TensorEntry, what: str) -> None:
    if entry.name.startswith(_PAD):
        if entry.dtype != "uint8" or len(entry.shape) != 1 or not 0 < entry.nbytes < ALIGN_BYTES:
            raise ArtifactCorrupt(f"{what}: {entry.name[:80]!r} is not a gap of 1 to {ALIGN_BYTES - 1} bytes.")
        return
    try:
        check_name(entry.name)
    except ArtifactError as wrong:
        raise ArtifactCorrupt(f"{what}: {wrong}") from wrong
    if entry.offset % ALIGN_BYTES:
        raise ArtifactCorrupt(
            f"{what}: tensor {entry.name!r} starts at byte {entry.offset:,}, not at a multiple of {ALIGN_BYTES}."
        )


def _check_no_holes(entries: Sequence[TensorEntry], data_start: int, file_bytes: int, what: str) -> None:
    end = data_start
    for entry in entries:
        if entry.offset != end:
            kind = "overlaps the one before" if entry.offset < end else "leaves a hole before it"
            raise ArtifactCorrupt(
                f"{what}: tensor {entry.name[:80]!r} starts at byte {entry.offset:,}, not {end:,}: it {kind}."
            )
        end = entry.stop
    if end != file_bytes:
        raise ArtifactCorrupt(f"{what} has {file_bytes:,} bytes; its header accounts for {end:,}.")
