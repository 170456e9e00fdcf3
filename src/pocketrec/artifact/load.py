"""Open an artifact: everything that it says is checked against everything else before any of it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from pocketrec.artifact import files
from pocketrec.artifact.chunks import ChunkVerifier
from pocketrec.artifact.manifest import MANIFEST_LIMIT_BYTES, MANIFEST_NAME, FileEntry, Manifest
from pocketrec.artifact.mapped import MappedFile
from pocketrec.spec.errors import ArtifactCorrupt, ArtifactError, UnknownName

__all__ = ["Artifact", "load_artifact"]

# A reader that finds a file gone looks whether a new artifact took the place of the old one; so often in a row.
_TRIES = 20


class _OpenFile:
    """A mapped file with its hashes. What its header says equals what the manifest says."""

    def __init__(self, folder: Path, entry: FileEntry, chunk_bytes: int) -> None:
        path = folder / entry.name
        self.mapped = MappedFile(path, expected_bytes=entry.file_bytes)
        if tuple(self.mapped.entries.values()) != entry.tensors:
            raise ArtifactCorrupt(f"The header of {path} names other tensors than the manifest.")
        self._verifier = ChunkVerifier(self.mapped.data, entry.hashes, chunk_bytes=chunk_bytes, what=str(path))

    def verify(self, start: int = 0, stop: int | None = None) -> None:
        self._verifier.verify(start, len(self.mapped.data) if stop is None else stop)


class Artifact:
    """An artifact on disk, open. Made by `load_artifact`.

    Its files are mapped, so it stays good when a new artifact takes its place. Its tensors lie in the maps and keep
    them alive. **They must not be written to** (the process would die; see ``mapped``): clone them first.

    Attributes:
        path: the folder.
        manifest: kind, content and files.
        skipped: newer checkpoints that are not whole and were passed over, with the reasons (`latest_checkpoint`).
    """

    def __init__(self, path: Path, manifest: Manifest, *, skipped: tuple[str, ...] = ()) -> None:
        self.path, self.manifest, self.skipped = path, manifest, skipped
        self._parts: dict[str, list[_OpenFile]] = {}
        for entry in manifest.files:
            self._parts.setdefault(entry.part, []).append(_OpenFile(path, entry, manifest.chunk_bytes))

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts."""
        return tuple(self._parts)

    def tensors(self, part: str) -> dict[str, torch.Tensor]:
        """All tensors of a part by name, mapped read-only; their hashes are checked before.

        Raises:
            UnknownName: no such part. ArtifactCorrupt: bytes that differ from their hash.
        """
        found: dict[str, torch.Tensor] = {}
        for file in self._files(part):
            file.verify()
            found |= file.mapped.tensors()
        return found

    def rows(self, part: str, name: str, start: int, stop: int) -> torch.Tensor:
        """A copy of the rows start..stop of one tensor. Only the 16 MiB chunks that they lie in are read and checked.

        Raises:
            UnknownName: no such part or tensor. IdError: no such rows. ArtifactCorrupt: bytes that differ from their
                hash.
        """
        held = {known: file for file in self._files(part) for known in file.mapped.entries}
        if name not in held:
            raise UnknownName("tensor", name, held)
        file = held[name]
        file.verify(*file.mapped.row_bytes(name, start, stop))
        return file.mapped.rows(name, start, stop)

    def tensor_bytes(self, part: str) -> int:
        """Bytes of the tensors of a part, as the headers of its files say: without headers and gaps."""
        return sum(entry.nbytes for file in self._files(part) for entry in file.mapped.entries.values())

    def verify(self) -> None:
        """Check every byte of every file that was not checked yet. ArtifactCorrupt names what differs."""
        for part in self._parts.values():
            for file in part:
                file.verify()

    def _files(self, part: str) -> list[_OpenFile]:
        if part not in self._parts:
            raise UnknownName("part", part, self._parts)
        return self._parts[part]


def load_artifact(path: Path, *, verify: Literal["full", "lazy"] = "full", kind: str | None = None) -> Artifact:
    """Open an artifact. Nothing is copied, and no tensor is touched before its hash was checked.

    Args:
        path: the artifact's folder, or a link to it.
        verify: ``full`` checks every byte now. ``lazy`` checks the manifest and the headers now, and data when it is
            first asked for: a part by `tensors`, a chunk by `rows`.
        kind: ``model`` or ``checkpoint`` if it must be one.

    Raises:
        ArtifactCorrupt: something does not add up; nothing was used. ArtifactVersion: of a newer pocketrec.
        ArtifactError: there is no artifact, it is of another kind, or it cannot be read.
    """
    if verify not in ("full", "lazy"):
        raise ArtifactError(f"verify must be 'full' or 'lazy', not {verify!r}.")
    try:
        artifact = _open(path)
    except OSError as wrong:
        raise ArtifactError(
            f"Cannot open the artifact {path}: {wrong.strerror or wrong} ({wrong.filename})."
        ) from wrong
    if kind is not None and artifact.manifest.kind != kind:
        raise ArtifactError(f"{path} is a {artifact.manifest.kind}, not a {kind}.")
    if verify == "full":
        artifact.verify()
    return artifact


def _open(path: Path) -> Artifact:
    raw = _manifest_text(path)
    for _ in range(_TRIES):
        manifest = Manifest.from_bytes(raw, str(path / MANIFEST_NAME))
        try:
            return Artifact(path, manifest)
        except FileNotFoundError as gone:
            before, raw = raw, _manifest_text(path)
            if raw == before:
                raise ArtifactCorrupt(f"{gone.filename} is missing; the manifest beside it names it.") from gone
    raise ArtifactError(f"{path} was replaced {_TRIES} times while it was being opened. Try again.")


def _manifest_text(path: Path) -> bytes:
    manifest = path / MANIFEST_NAME
    try:
        file, file_bytes = files.open_regular(manifest)
    except FileNotFoundError:
        if path.is_dir():
            raise ArtifactCorrupt(
                f"{path} has no {MANIFEST_NAME}: it is no artifact, or its saving did not finish."
            ) from None
        raise ArtifactError(f"There is no artifact at {path}.") from None
    except NotADirectoryError:
        raise ArtifactError(f"{path} is not a folder; an artifact is one.") from None
    try:
        if file_bytes > MANIFEST_LIMIT_BYTES:
            raise ArtifactCorrupt(f"{manifest} has {file_bytes:,} bytes; none has above {MANIFEST_LIMIT_BYTES:,}.")
        return files.read(file, file_bytes, 0)
    finally:
        files.close(file)
