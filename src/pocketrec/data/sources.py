"""Which files a log consists of, in which order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from pocketrec.data.readers import READERS
from pocketrec.data.text_blocks import PACKED, unpacked_name
from pocketrec.spec.errors import BadFile
from pocketrec.spec.schema import Schema

__all__ = ["Source", "source_files"]

Source = str | Path | Sequence[str | Path]

_DAY = re.compile(r"day_(\d+)" + PACKED)


def source_files(source: Source, schema: Schema) -> tuple[Path, ...]:
    """The files of a log.

    Args:
        source: a file, a folder of parts, or a list of files in order. In a folder, the files whose names the schema's
            reader accepts are taken in the order of their names with numbers as numbers (day_2 before day_10); where
            there are Criteo Terabyte day files, nothing else is taken.
        schema: its format names the reader.

    Raises:
        BadFile: where there is no such file, or nothing in the folder.
    """
    if not isinstance(source, (str, Path)):
        files = tuple(Path(s) for s in source)
    elif Path(source).is_dir():
        files = _parts(Path(source), schema)
    else:
        files = (Path(source),)
    if not files:
        raise BadFile(str(source), f"there are no files that the reader {schema.format!r} accepts.")
    for file in files:
        if not file.is_file():
            raise BadFile(str(file), "there is no such file.")
    return files


def _parts(folder: Path, schema: Schema) -> tuple[Path, ...]:
    reader = READERS.get(schema.format)
    names = [f.name for f in folder.iterdir() if f.is_file() and not f.name.startswith((".", "_"))]
    days = [name for name in names if _DAY.fullmatch(name)]
    taken = sorted((name for name in days or names if reader.accepts(name)), key=_natural)
    for name, after in pairwise(taken):
        if unpacked_name(name) == unpacked_name(after):
            raise BadFile(str(folder), f"holds {name} and {after}, the same part twice. Remove one of them.")
    return tuple(folder / name for name in taken)


def _natural(name: str) -> list[tuple[int, int | str]]:
    """A sorting key that compares runs of digits as numbers."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name)]
