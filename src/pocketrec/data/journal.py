"""What a reading pass leaves behind, one file per block of rows, so that a killed pass goes on where it was."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Journal", "sync_folder", "write_durably"]

_META = "meta"


class Journal:
    """Numbered chunks of named arrays. A chunk is whole or absent: it is written beside, synced and renamed.

    Args:
        folder: an existing folder that belongs to this journal.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.chunks = 0
        while self._whole(self.chunks):
            self.chunks += 1

    def append(self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
        """Add a chunk: arrays by name, and JSON values."""
        target = self._path(self.chunks)
        beside = target.with_suffix(".tmp")
        text = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
        with beside.open("wb") as out:
            np.savez(out, allow_pickle=False, **{_META: text}, **dict(arrays))
            out.flush()
            os.fsync(out.fileno())
        beside.replace(target)
        sync_folder(self.folder)
        self.chunks += 1

    def array(self, chunk: int, name: str) -> np.ndarray:
        """One array of one chunk; nothing else of it is read."""
        # The file is opened here because np.load leaves it open when the archive is torn.
        with self._path(chunk).open("rb") as file, np.load(file, allow_pickle=False) as stored:
            found: np.ndarray = stored[name]
        return found

    def meta(self, chunk: int) -> dict[str, Any]:
        """The JSON values of a chunk."""
        read: dict[str, Any] = json.loads(self.array(chunk, _META).tobytes())
        return read

    def metas(self) -> Iterator[dict[str, Any]]:
        """The JSON values of all chunks, in order."""
        return (self.meta(chunk) for chunk in range(self.chunks))

    def _path(self, chunk: int) -> Path:
        return self.folder / f"chunk-{chunk:07d}.npz"

    def _whole(self, chunk: int) -> bool:
        # Renamed after an fsync, so whole; but a machine that lost power may lie, and then the block is read again.
        with suppress(FileNotFoundError, zipfile.BadZipFile, KeyError, ValueError, EOFError):
            self.meta(chunk)
            return True
        return False


def write_durably(path: Path, data: bytes) -> None:
    """Write a file so that after a crash it is there whole or not at all."""
    beside = path.with_name(f"{path.name}.tmp")
    with beside.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
