"""Checkpoints: a folder in which the newest whole one is always found, whenever the process was killed.

::

    folder/save-000007-step-14000/      an artifact of kind "checkpoint"
    folder/save-000008-step-16000/

Every save is an artifact of its own with the next number, so that a broken one leaves the one before. Newest is what
was saved last, not what has most steps: who went back to an older one and trained on wants that.

What a killed process left unfinished has no manifest and is removed by the next save. Other files in the folder are
left alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pocketrec.artifact import files
from pocketrec.artifact.load import Artifact, load_artifact
from pocketrec.artifact.manifest import MANIFEST_NAME, Manifest
from pocketrec.artifact.save import make_folders, remove_artifact, save_artifact, saving
from pocketrec.artifact.write import Value
from pocketrec.spec.errors import ArtifactCorrupt, ArtifactError, ArtifactVersion

__all__ = ["latest_checkpoint", "save_checkpoint"]

_NAME = re.compile(r"save-([0-9]{6,})-step-([0-9]+)")


def save_checkpoint(
    folder: Path, step: int, content: Mapping[str, Any], parts: Mapping[str, Mapping[str, Value]], *, keep: int = 2
) -> Path:
    """Write the next checkpoint, then remove the oldest beyond `keep`. On return it is on the disk.

    Args:
        folder: of the run's checkpoints; made if it is not there.
        step: steps made so far, 0 or more; part of the checkpoint's name.
        content: JSON of the caller's.
        parts: tensors by name, by part.
        keep: how many whole checkpoints stay, 1 or more.

    Returns:
        The folder of the new checkpoint.

    Raises:
        ArtifactError: as `save_artifact`. All checkpoints that were there still are.
    """
    if keep < 1 or step < 0:
        raise ArtifactError(f"keep must be 1 or more and step 0 or more, not {keep} and {step}.")
    manifest = Manifest(kind="checkpoint", content=content)
    with saving(folder):
        root = files.real_path(folder)
        make_folders(root)
        with files.locked(root):
            _remove_unfinished(root)
            path = root / f"save-{_next_number(root):06d}-step-{step}"
            try:
                save_artifact(path, manifest, parts)
            except ArtifactError:
                with suppress(OSError):  # an empty folder is no harm; the next save removes it
                    _remove_unfinished(root)
                raise
            with suppress(OSError):  # the new one is on the disk; what is too much goes next time
                _remove_oldest(root, keep, path)
    return path


def latest_checkpoint(folder: Path) -> Artifact | None:
    """The newest whole checkpoint, every byte of it checked; None if nothing was ever saved there.

    Newer ones that are not whole are passed over and named in the result's ``skipped``.

    Raises:
        ArtifactVersion: the newest is of a newer pocketrec.
        ArtifactCorrupt: there are finished checkpoints, and none is whole. (Starting anew would hide the loss.)
    """
    names = _names(folder)
    while True:
        skipped: list[str] = []
        for name in reversed(names):
            try:
                found = load_artifact(folder / name, verify="full", kind="checkpoint")
            except ArtifactVersion:
                raise
            except ArtifactError as wrong:
                skipped.append(str(wrong))
            else:
                found.skipped = tuple(skipped)
                return found
        # A saver may have removed, as too old, all that we had listed.
        if (now := _names(folder)) == names:
            break
        names = now
    if lost := [name for name in names if (folder / name / MANIFEST_NAME).exists()]:
        raise ArtifactCorrupt(
            f"None of the {len(lost)} checkpoints in {folder} is whole: {' '.join(skipped)} "
            "Delete the folder to start anew."
        )
    return None


def _names(folder: Path) -> list[str]:
    """The names of all checkpoints, finished or not, the oldest first."""
    try:
        listed = files.list_names(folder)
    except FileNotFoundError:
        return []
    except OSError as wrong:
        raise ArtifactError(f"Cannot look for checkpoints in {folder}: {wrong.strerror or wrong}.") from wrong
    return sorted((name for name in listed if _number(name) and (folder / name).is_dir()), key=_number)


def _number(name: str) -> int:
    """The number of a save, 1 or more; 0 for a name that is none."""
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else 0


def _next_number(folder: Path) -> int:
    return max(map(_number, files.list_names(folder)), default=0) + 1


def _remove_unfinished(folder: Path) -> None:
    for name in _names(folder):
        if not (folder / name / MANIFEST_NAME).exists():
            remove_artifact(folder / name)


def _remove_oldest(folder: Path, keep: int, newest: Path) -> None:
    """Remove the whole ones beyond the newest `keep`, and broken ones. What was just saved stays whatever is found.

    Whole is judged by sizes and headers. What cannot be read now, or only by a newer pocketrec, is not ours to judge.
    """
    whole = 1
    for name in reversed(_names(folder)):
        if folder / name == newest:
            continue
        try:
            load_artifact(folder / name, verify="lazy", kind="checkpoint")
            whole += 1
            superfluous = whole > keep
        except ArtifactError as wrong:
            superfluous = isinstance(wrong, ArtifactCorrupt)
        if superfluous:
            remove_artifact(folder / name)
