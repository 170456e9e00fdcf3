"""Places that are written to: what cannot be written is told in one way, by the name that the user gave."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pocketrec.spec.errors import CannotWrite

__all__ = ["check_file", "check_folder", "writing", "written_whole"]


@contextmanager
def writing(place: str | Path) -> Iterator[None]:
    """Turn what the system says within into a CannotWrite of this file or folder."""
    try:
        yield
    except CannotWrite:
        raise
    except OSError as wrong:
        raise CannotWrite(str(place), wrong.strerror or str(wrong)) from wrong


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A name beside `path` to write under; it becomes `path` when all went well, and goes away when not.

    Raises:
        CannotWrite: it could not be opened or renamed there. What the body raises is its own affair.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing(path):
        beside.touch()
    try:
        yield beside
        with writing(path):
            beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def check_file(path: Path) -> None:
    """CannotWrite for a file that cannot be made, as far as one can tell without making it: before long work."""
    with writing(path):
        if path.is_dir():
            raise CannotWrite(str(path), "it is a folder", "Choose another name")
        if not path.parent.exists():
            raise CannotWrite(str(path), f"there is no folder {path.parent}")
    check_folder(path.parent, said=path)


def check_folder(folder: Path, *, said: Path | None = None) -> None:
    """CannotWrite for a folder that cannot be made or written to, as far as one can tell without doing it.

    Args:
        folder: it need not be there.
        said: what to name in the error, if not the folder.
    """
    with writing(said or folder):
        there = next(place for place in (folder, *folder.parents) if place.exists() or place == Path(place.anchor))
        if not there.is_dir():
            raise CannotWrite(str(said or folder), f"{there} is no folder")
        if not os.access(there, os.W_OK | os.X_OK):
            raise CannotWrite(str(said or folder), f"no permission to write into {there}")
