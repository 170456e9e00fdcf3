"""Save an artifact so that at every moment there is a whole one: the old, or the new.

An artifact is a folder: ``manifest.json`` and the tensor files that it names. It exists from the moment in which
``manifest.json`` gets its name, and that renaming of one file is the only step that counts:

1. Tensor files are written under passing names, brought to the disk (fsync), and named after their content. Nobody
   looks at them yet: the manifest that stands there, if any, names others. A file of the same content may stand there
   already; it is replaced by its equal.
2. The names are brought to the disk (fsync of the folder).
3. The new manifest is written, brought to the disk, and renamed to ``manifest.json``. The folder is brought to the
   disk.
4. Tensor files that the manifest does not name are removed. Whoever has mapped them keeps them.

A kill before 3 leaves the old artifact and some files nobody looks at; the next save removes them. A full disk does the
same, and the files are removed at once. (Exchanging whole folders would need two renames and have a moment with no
artifact, or a system call that not all file systems know.)

Savers of the same folder wait for each other (a lock that dies with its process). Readers never wait.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from pocketrec.artifact import files, strict_json
from pocketrec.artifact.chunks import CHUNK_BYTES
from pocketrec.artifact.header import PAGE_BYTES
from pocketrec.artifact.manifest import (
    CHUNK_LIMIT_BYTES,
    FILE_NAME,
    FORMAT,
    MANIFEST_LIMIT_BYTES,
    MANIFEST_NAME,
    PART_NAME,
    FileEntry,
    Manifest,
    file_name,
)
from pocketrec.artifact.write import FILE_LIMIT_BYTES, FilePlan, Value, plan_files, write_plan
from pocketrec.spec.errors import ArtifactError

__all__ = ["is_ours", "make_folders", "remove_artifact", "save_artifact", "saving"]

# The passing name of a file that is being written. There is one saver at a time, so there is one such name at a time.
_PASSING = re.compile(r"\.[a-z0-9_-]{1,80}\.tmp")
_OUR_MARK = re.compile(rb'"format"\s*:\s*"' + FORMAT.encode() + rb'"')


def save_artifact(
    path: Path,
    manifest: Manifest,
    parts: Mapping[str, Mapping[str, Value]],
    *,
    file_limit_bytes: int = FILE_LIMIT_BYTES,
    chunk_bytes: int = CHUNK_BYTES,
) -> Manifest:
    """Write an artifact, or put it in the place of the one that is there. On return it is on the disk.

    The same tensors and content give the same bytes. A folder that is made on the way gets its parents too; a link to a
    folder stays one, and the folder it leads to is written. Other files in the folder of an artifact are left alone.

    Args:
        path: the artifact's folder.
        manifest: its kind and content; the rest is filled in.
        parts: tensors by name, by part. Parts are named like identifiers, in small letters.
        file_limit_bytes: a part above it becomes several files. A single tensor is never divided.
        chunk_bytes: bytes per hash, a multiple of 4,096.

    Returns:
        The manifest as it was written.

    Raises:
        ArtifactError: content that is not JSON, a tensor that cannot be kept, a folder that holds something else, no
            permission, or no space (with numbers). Whatever artifact was there is whole.
    """
    _check_names(parts)
    if not 0 < chunk_bytes <= CHUNK_LIMIT_BYTES or chunk_bytes % PAGE_BYTES:
        raise ArtifactError(f"chunk_bytes must be a multiple of {PAGE_BYTES:,} up to 1 GiB, not {chunk_bytes:,}.")
    content = strict_json.plain(manifest.content)
    manifest = Manifest(kind=manifest.kind, content=content, pocketrec=version("pocketrec"), chunk_bytes=chunk_bytes)
    plans = {part: plan_files(tensors, limit_bytes=file_limit_bytes) for part, tensors in parts.items()}
    needed_bytes = sum(plan.file_bytes for part in plans.values() for plan in part) + len(manifest.to_bytes())
    with saving(path, needed_bytes):
        folder = files.real_path(path)
        make_folders(folder)
        with files.locked(folder):
            _check_is_ours(folder)
            # What a reader would see now must be what a power cut would leave, before anything is removed: the save
            # before may have died between naming and syncing.
            with suppress(PermissionError):  # of a parent that may be passed through but not read
                files.sync_folder(folder.parent)
            files.sync_folder(folder)
            _sweep(folder)
            _check_space(folder, needed_bytes)
            return _write(folder, manifest, plans)


@contextmanager
def saving(path: Path, needed_bytes: int | None = None) -> Iterator[None]:
    """Turn errors of the system into ArtifactErrors that name the path, the bytes and the next step.

    Args:
        path: what is being saved.
        needed_bytes: about so many bytes it takes, if that is known.
    """
    try:
        yield
    except OSError as wrong:
        if wrong.errno in (errno.ENOSPC, errno.EDQUOT):
            needs = "" if needed_bytes is None else f"it needs about {needed_bytes:,} bytes, and "
            raise ArtifactError(
                f"No space to save {path}: {needs}the disk (or your share of it) was full before the end. Free some "
                "space or save elsewhere. If an artifact was there, a whole one still is."
            ) from wrong
        raise ArtifactError(
            f"Cannot save {path}: {wrong.strerror or wrong} ({wrong.filename or 'while writing'}). Choose a folder "
            "that can be written to. If an artifact was there, a whole one still is."
        ) from wrong


def make_folders(folder: Path) -> None:
    """Make a folder and its parents, and bring their names to the disk."""
    if folder.is_dir():
        return
    make_folders(folder.parent)
    files.make_folder(folder)
    files.sync_folder(folder.parent)


def is_ours(name: str) -> bool:
    """Whether this name in an artifact's folder is one that saving gives."""
    return name == MANIFEST_NAME or FILE_NAME.fullmatch(name) is not None or _PASSING.fullmatch(name) is not None


def remove_artifact(folder: Path) -> None:
    """Remove an artifact, its manifest first: what is left by a kill is not one any more. Other files stay."""
    names = files.list_names(folder)
    for name in sorted(filter(is_ours, names), key=lambda name: name != MANIFEST_NAME):
        files.remove(folder / name)
    if all(map(is_ours, names)):
        files.remove_folder(folder)


def _check_names(parts: Mapping[str, object]) -> None:
    for part in parts:
        if not PART_NAME.fullmatch(part):
            raise ArtifactError(
                f"A part cannot be called {part[:80]!r}: 1 to 64 small letters, digits and '_', a letter first."
            )


def _check_is_ours(folder: Path) -> None:
    """Refuse to put an artifact among the files of something else."""
    manifest = _manifest_text(folder)
    if manifest is not None and not _OUR_MARK.search(manifest):
        raise ArtifactError(
            f"{folder / MANIFEST_NAME} is not of a pocketrec artifact. Choose another folder, or remove it."
        )
    foreign = [name for name in files.list_names(folder) if not is_ours(name)]
    if manifest is None and foreign:
        raise ArtifactError(
            f"{folder} is not an artifact and holds other files, such as {foreign[0]!r}. Choose a new or empty folder."
        )


def _check_space(folder: Path, needed_bytes: int) -> None:
    free = files.free_bytes(folder)
    if free is not None and free < needed_bytes:
        raise ArtifactError(
            f"No space to save {folder}: it needs {needed_bytes:,} bytes, and {free:,} are free on that disk. Free "
            f"{needed_bytes - free:,} bytes or save elsewhere. If an artifact was there, a whole one still is."
        )


def _write(folder: Path, manifest: Manifest, plans: Mapping[str, Sequence[FilePlan]]) -> Manifest:
    text = b""
    try:
        entries = tuple(entry for part, plan in plans.items() for entry in _write_part(folder, part, plan, manifest))
        files.sync_folder(folder)
        whole = replace(manifest, files=entries)
        text, passing = whole.to_bytes(), folder / ".manifest.tmp"
        _write_text(passing, text)
        files.rename(passing, folder / MANIFEST_NAME)
        files.sync_folder(folder)
    except BaseException:
        with suppress(OSError):  # the first error is the one to tell; what is left is swept by the next save
            # Once the new manifest stands there, a power cut may still bring the old one back: its files must stay.
            if _manifest_text(folder) != text:
                _sweep(folder)
        raise
    with suppress(OSError):  # the artifact is whole; what is left is swept by the next save
        _sweep(folder)
    return whole


def _write_part(folder: Path, part: str, plans: Sequence[FilePlan], manifest: Manifest) -> list[FileEntry]:
    entries = []
    for number, plan in enumerate(plans, 1):
        passing = folder / f".{part}-{number:05d}.tmp"
        hashes = write_plan(passing, plan, chunk_bytes=manifest.chunk_bytes)
        name = file_name(part, number, len(plans), hashes)
        files.rename(passing, folder / name)
        entries.append(FileEntry(name=name, part=part, file_bytes=plan.file_bytes, hashes=hashes, tensors=plan.entries))
    return entries


def _write_text(path: Path, text: bytes) -> None:
    file = files.create(path)
    try:
        files.write(file, text)
        files.sync_file(file)
    finally:
        files.close(file)


def _sweep(folder: Path) -> None:
    """Remove our files that the manifest does not name: what a kill or a full disk left, or the artifact before.

    The manifest's text is searched for names and not read, so this errs on the side of keeping, whatever state and
    version the manifest is in.
    """
    named = _manifest_text(folder) or b""
    for name in files.list_names(folder):
        if name != MANIFEST_NAME and is_ours(name) and name.encode() not in named:
            files.remove(folder / name)


def _manifest_text(folder: Path) -> bytes | None:
    try:
        file, file_bytes = files.open_regular(folder / MANIFEST_NAME)
    except FileNotFoundError:
        return None
    try:
        return files.read(file, min(file_bytes, MANIFEST_LIMIT_BYTES), 0)
    finally:
        files.close(file)
