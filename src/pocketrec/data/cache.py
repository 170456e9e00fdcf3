"""The encoded cache on disk: arrays that are memory-mapped and sliced, and one JSON file about them.

::

    dense.npy         float32 [rows, D]
    ranks.npy         int32   [rows, fields of ranks with one token per row]
    ids.npy           int64   [rows, fields of hashes and of plain ids with one per row]
    bags-<j>.npy      int32   [values] of categorical field j, a field of bags of ranks; int64 for hashes and plain ids
    offsets-<j>.npy   int64   [rows + 1], where the bag of each row begins, and where the last one ends
    label.npy         float32 [rows]        weight.npy likewise, where the schema has them
    tokens-<t>.npy    int64   [ids]         hash63 of every token of table t, by encoded id (0 for unknown)
    counts-<t>.npy    int64   [3, ids]      how often it occurs in train, validation and test rows
    statistics.json   a summary of the training rows, for people
    cache.json        everything else

Rows are train rows, then validation rows, then test rows; each in order of time.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pocketrec.data.journal import sync_folder, write_durably
from pocketrec.data.split import Split
from pocketrec.spec.errors import BadFile, OptionError, SchemaError
from pocketrec.spec.schema import Schema

__all__ = ["CACHE_VERSION", "CacheAbout", "CacheFiles"]

# Part of every cache's key: a change of what is stored, or of how rows are encoded, must raise it. (Bags did not:
# schemas without them have the same files as before.)
CACHE_VERSION = 1

_ABOUT = "cache.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheAbout:
    """What `cache.json` says.

    Attributes:
        schema: of the raw files.
        split: how rows were divided.
        part_rows: numbers of train, validation and test rows.
        left_out: good rows of no part.
        skipped: rows and files that could not be read, by reason.
        fitted: mean and standard deviation per standardised dense field.
        table_rows: per table, its ids up to train, validation and test (see `Ranking.rows`).
        dense: per part and dense field: count, mean, m2, low, high of the numbers that are there, and how many are not.
        positives: per part, rows with label 1; None without labels.
    """

    schema: Schema
    split: Split
    part_rows: tuple[int, int, int]
    left_out: int
    skipped: Mapping[str, int]
    fitted: Mapping[str, tuple[float, float]]
    table_rows: Mapping[str, tuple[int, int, int]]
    dense: tuple[Mapping[str, Mapping[str, float]], ...]
    positives: tuple[int, int, int] | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "version": CACHE_VERSION,
            "schema": self.schema.to_json(),
            "split": self.split.to_json(),
            "part_rows": list(self.part_rows),
            "left_out": self.left_out,
            "skipped": dict(self.skipped),
            "fitted": {name: list(numbers) for name, numbers in self.fitted.items()},
            "table_rows": {name: list(rows) for name, rows in self.table_rows.items()},
            "dense": [{name: dict(numbers) for name, numbers in part.items()} for part in self.dense],
            "positives": None if self.positives is None else list(self.positives),
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> CacheAbout:
        """The inverse of :meth:`to_json`; KeyError, TypeError or ValueError for anything else."""
        train, validation, test = data["part_rows"]
        return CacheAbout(
            schema=Schema.from_json(data["schema"]),
            split=Split.from_json(data["split"]),
            part_rows=(train, validation, test),
            left_out=data["left_out"],
            skipped=data["skipped"],
            fitted={name: (mean, std) for name, (mean, std) in data["fitted"].items()},
            table_rows={name: (a, b, c) for name, (a, b, c) in data["table_rows"].items()},
            dense=tuple(data["dense"]),
            positives=None if data["positives"] is None else tuple(data["positives"]),
        )


class CacheFiles:
    """The files of one cache.

    Args:
        folder: where they are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self, name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        """A new writable memory map."""
        if 0 in shape:  # nothing to map
            np.save(self._path(name), np.zeros(shape, dtype=dtype), allow_pickle=False)
            return np.zeros(shape, dtype=dtype)
        return np.lib.format.open_memmap(self._path(name), mode="w+", dtype=dtype, shape=shape)

    @staticmethod
    def release(arrays: Iterable[np.ndarray]) -> None:
        """Let go of the pages of memory maps; what was written stays, in the file and in the system's own cache."""
        for array in arrays:
            if isinstance(array.base, mmap.mmap):
                array.base.madvise(mmap.MADV_DONTNEED)

    def save(self, name: str, array: np.ndarray) -> None:
        """A whole array at once."""
        np.save(self._path(name), array, allow_pickle=False)

    def finish(self, about: CacheAbout) -> None:
        """Make all files last, then write what they are."""
        for path in sorted(self.folder.glob("*.npy")):
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        sync_folder(self.folder)
        write_durably(self.folder / _ABOUT, json.dumps(about.to_json()).encode())

    def map(self, name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        """A read-only memory map.

        Raises:
            BadFile: when the file is not there, or not of this shape and type.
        """
        path = self._path(name)
        try:
            found: np.ndarray = np.load(path, mmap_mode=None if 0 in shape else "r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as wrong:
            raise BadFile(
                str(path), f"cannot be opened ({wrong}). Remove the cache's folder and prepare again."
            ) from wrong
        if found.shape != shape or found.dtype != dtype:
            raise BadFile(
                str(path),
                f"holds {found.dtype} {found.shape} in place of {np.dtype(dtype)} {shape}. "
                "Remove the cache's folder and prepare again.",
            )
        return found

    def about(self) -> CacheAbout:
        """What the cache is.

        Raises:
            BadFile: when it is none, or of another version.
        """
        path = self.folder / _ABOUT
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if data["version"] != CACHE_VERSION:
                raise BadFile(
                    str(path), f"is of version {data['version']}, this pocketrec reads {CACHE_VERSION}. Prepare again."
                )
            return CacheAbout.from_json(data)
        except (OSError, KeyError, TypeError, ValueError, OptionError, SchemaError) as wrong:
            if isinstance(wrong, BadFile):
                raise
            raise BadFile(str(path), f"this is not a cache of pocketrec ({wrong}). Prepare it again.") from wrong

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npy"
