"""Tensors in: a file mapped read-only into memory, its tensors lying in the map without a copy.

Several processes that map a file share its pages. A tensor keeps its map alive, and a map keeps its file's bytes alive,
even if the file is replaced or removed meanwhile.

**Never write to a mapped tensor.** Torch knows no read-only tensors: nothing refuses the attempt. The pages themselves
are read-only, so the process dies of a segmentation fault, and the file stays as it is; `tensor.clone()` gives a tensor
to write to. (A private map would survive, but a stray write would then change what is served without a trace, and the
kernel would count the whole file against memory.)

Files must not be cut short or overwritten in place while they are mapped; saving here never does either.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pocketrec.artifact import files
from pocketrec.artifact.dtypes import TORCH
from pocketrec.artifact.header import TensorEntry, decode, header_length
from pocketrec.native.huge_pages import copied
from pocketrec.spec.errors import ArtifactCorrupt, IdError, UnknownName

__all__ = ["MappedFile", "map_tensors"]


class _Pages:
    """The pages of a map, as NumPy can take them. Whoever holds an array of them holds the map.

    They are declared writable although they are not, because torch warns at every read-only buffer; see the head of
    this file for what a write does.
    """

    def __init__(self, pages: mmap.mmap) -> None:
        self._pages = pages
        address = np.frombuffer(pages, np.uint8).ctypes.data
        self.__array_interface__: dict[str, Any] = {
            "shape": (len(pages),),
            "typestr": "|u1",
            "data": (address, False),
            "version": 3,
        }


class MappedFile:
    """One tensor file, open and mapped. Its header has been checked in full, its data has not been read.

    Args:
        path: a file that `write_tensors` or `save_artifact` wrote.
        expected_bytes: what the manifest says, or None.

    Attributes:
        path: where it was opened.
        entries: its tensors by name, in the order of the file.
        data: the whole file, read-only.

    Raises:
        ArtifactCorrupt: the file does not add up. FileNotFoundError and other OSErrors come from the system.
    """

    def __init__(self, path: Path, *, expected_bytes: int | None = None) -> None:
        self.path = path
        file, file_bytes = files.open_regular(path)
        try:
            if expected_bytes not in (None, file_bytes):
                raise ArtifactCorrupt(f"{path} has {file_bytes:,} bytes, the manifest says {expected_bytes:,}.")
            length = header_length(files.read(file, 8, 0), file_bytes, str(path))
            entries = decode(files.read(file, 8 + length, 0), file_bytes, str(path))
            pages = mmap.mmap(file, file_bytes, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
        except ValueError as wrong:  # of mmap; ours are ValueErrors too
            if isinstance(wrong, ArtifactCorrupt):
                raise
            raise ArtifactCorrupt(f"{path} was cut short while it was being opened.") from wrong
        finally:
            files.close(file)
        self.entries: dict[str, TensorEntry] = {entry.name: entry for entry in entries}
        self.data = memoryview(pages)
        self._array = np.asarray(_Pages(pages))

    def tensor(self, name: str) -> torch.Tensor:
        """The tensor, lying in the map. Its storage is exactly its own bytes."""
        entry = self.entry(name)
        if entry.nbytes == 0:
            return torch.empty(entry.shape, dtype=TORCH[entry.dtype])
        dtype = TORCH[entry.dtype]
        flat = torch.frombuffer(self._array, dtype=dtype, count=entry.nbytes // dtype.itemsize, offset=entry.offset)
        return flat.reshape(entry.shape)

    def tensors(self) -> dict[str, torch.Tensor]:
        """All tensors by name, in the order of the file."""
        return {name: self.tensor(name) for name in self.entries}

    def rows(self, name: str, start: int, stop: int) -> torch.Tensor:
        """A copy of the rows start..stop of a tensor; no other page of the file is touched.

        Raises:
            IdError: not 0 <= start <= stop <= rows, or the tensor has no rows (no axes).
        """
        self.row_bytes(name, start, stop)
        return copied(self.tensor(name)[start:stop])

    def row_bytes(self, name: str, start: int, stop: int) -> tuple[int, int]:
        """Where the rows start..stop of a tensor lie in the file: first byte, and byte after the last."""
        entry = self.entry(name)
        rows = entry.shape[0] if entry.shape else 0
        if not 0 <= start <= stop <= rows:
            raise IdError(f"Rows {start} to {stop} of tensor {name!r} were asked for; it has {rows:,}.")
        width = entry.nbytes // rows if rows else 0
        return entry.offset + start * width, entry.offset + stop * width

    def entry(self, name: str) -> TensorEntry:
        """Where a tensor lies. UnknownName if there is none of that name."""
        if name not in self.entries:
            raise UnknownName("tensor", name, self.entries)
        return self.entries[name]


def map_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of one file, mapped read-only: see the head of this file. Nothing but the header is checked.

    Raises:
        ArtifactCorrupt: the header does not add up.
    """
    return MappedFile(path).tensors()
