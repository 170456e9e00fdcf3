"""Manifest: what an artifact is and what lies in it. The file ``manifest.json``.

::

    {"format": "pocketrec", "version": 1, "kind": "model", "pocketrec": "0.1.0",
     "content": {...},                      what the caller keeps: sizing, schema, model, metrics
     "chunk_bytes": 16777216,
     "files": [{"name": "tables-<id>.safetensors", "part": "tables", "bytes": ..., "sha256": [one per chunk],
                "tensors": [{"name": ..., "dtype": ..., "shape": [...], "offset": ...}]}],
     "sha256": ...}                         of all the above in canonical form (strict_json.canonical)

A file's name holds the hash of its content, so a name never stands for two contents. That is what lets an artifact be
replaced in one step (see ``save``).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pocketrec.artifact import migrate, strict_json
from pocketrec.artifact.chunks import CHUNK_BYTES, chunk_count, file_id
from pocketrec.artifact.dtypes import ITEM_BYTES
from pocketrec.artifact.header import PAGE_BYTES, TensorEntry, is_shape
from pocketrec.spec.errors import ArtifactCorrupt, ArtifactError

__all__ = [
    "CHUNK_LIMIT_BYTES",
    "FILE_NAME",
    "FORMAT",
    "KINDS",
    "MANIFEST_LIMIT_BYTES",
    "MANIFEST_NAME",
    "PART_NAME",
    "FileEntry",
    "Manifest",
    "file_name",
]

FORMAT = "pocketrec"
KINDS = ("model", "checkpoint")
MANIFEST_NAME = "manifest.json"
# Enough for the hashes of 3 TB; the limit bounds what a hostile file can make us read and parse.
MANIFEST_LIMIT_BYTES = 16 * 2**20

_PART = r"[a-z][a-z0-9_]{0,63}"
PART_NAME = re.compile(_PART)
# Names of this form have no dots before their end and no slashes: they cannot lead out of the folder.
FILE_NAME = re.compile(
    rf"(?P<part>{_PART})-(?:(?P<number>\d{{5}})-of-(?P<count>\d{{5}})-)?(?P<id>[0-9a-f]{{12}})\.safetensors"
)
_HASH = re.compile(r"[0-9a-f]{64}")
CHUNK_LIMIT_BYTES = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One tensor file of an artifact.

    Attributes:
        name: its name in the artifact's folder.
        part: the part it belongs to.
        file_bytes: its size.
        hashes: SHA-256 of each chunk, hex.
        tensors: where its tensors lie, in the order of the file, gaps left out.
    """

    name: str
    part: str
    file_bytes: int
    hashes: tuple[str, ...]
    tensors: tuple[TensorEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The description of an artifact. To save one, give kind and content; saving fills in the rest.

    Attributes:
        kind: ``model`` or ``checkpoint``.
        content: JSON of the caller's.
        pocketrec: version of the package that wrote it.
        chunk_bytes: bytes per hashed chunk.
        files: the tensor files, part by part.
        version: of the form of this file; older ones are brought up to date when they are read.
    """

    kind: str
    content: Mapping[str, Any] = field(default_factory=dict)
    pocketrec: str = ""
    chunk_bytes: int = CHUNK_BYTES
    files: tuple[FileEntry, ...] = ()
    version: int = migrate.VERSION

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ArtifactError(f"An artifact is a {' or a '.join(KINDS)}, not {self.kind!r}.")

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts, in their order."""
        return tuple(dict.fromkeys(entry.part for entry in self.files))

    @property
    def file_bytes(self) -> int:
        """Bytes of all tensor files, headers and gaps included."""
        return sum(entry.file_bytes for entry in self.files)

    def to_bytes(self) -> bytes:
        """The text of ``manifest.json``, readable by people, ending in its own hash."""
        body: dict[str, Any] = {
            "format": FORMAT,
            "version": self.version,
            "kind": self.kind,
            "pocketrec": self.pocketrec,
            "content": strict_json.plain(self.content),
            "chunk_bytes": self.chunk_bytes,
            "files": [_file_json(entry) for entry in self.files],
        }
        body["sha256"] = _own_hash(body)
        text = (json.dumps(body, indent=1, ensure_ascii=True, allow_nan=False) + "\n").encode("ascii")
        if len(text) > MANIFEST_LIMIT_BYTES:
            raise ArtifactError(
                f"The manifest would have {len(text):,} bytes, above {MANIFEST_LIMIT_BYTES:,}. Keep large things as "
                "tensors."
            )
        return text

    @staticmethod
    def from_bytes(raw: bytes, what: str) -> Manifest:
        """Read the text of a manifest.

        Args:
            raw: the file's bytes, at most :data:`MANIFEST_LIMIT_BYTES`.
            what: names the file in errors.

        Raises:
            ArtifactVersion: written by a newer pocketrec. ArtifactCorrupt: anything else that does not add up.
        """
        body = strict_json.parse(raw, what)
        if not isinstance(body, dict) or body.get("format") != FORMAT:
            raise ArtifactCorrupt(f"{what} is not the manifest of a pocketrec artifact.")
        migrate.check_version(body.get("version"), what)
        own = body.pop("sha256", None)
        if own != _own_hash(body):
            raise ArtifactCorrupt(f"{what} differs from its own hash: it was damaged or edited.")
        return _read(migrate.migrate(body, what), what)


def file_name(part: str, number: int, count: int, hashes: tuple[str, ...]) -> str:
    """The name of file `number` (from 1) of the `count` files of a part."""
    middle = f"-{number:05d}-of-{count:05d}" if count > 1 else ""
    return f"{part}{middle}-{file_id(hashes)}.safetensors"


def _own_hash(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(strict_json.canonical(body)).hexdigest()


def _file_json(entry: FileEntry) -> dict[str, Any]:
    tensors = [{"name": t.name, "dtype": t.dtype, "shape": list(t.shape), "offset": t.offset} for t in entry.tensors]
    return {
        "name": entry.name,
        "part": entry.part,
        "bytes": entry.file_bytes,
        "sha256": list(entry.hashes),
        "tensors": tensors,
    }


def _read(body: dict[str, Any], what: str) -> Manifest:
    _need(set(body) == {"format", "version", "kind", "pocketrec", "content", "chunk_bytes", "files"}, what, "its keys")
    kind, content, chunk_bytes = body["kind"], body["content"], body["chunk_bytes"]
    _need(kind in KINDS and isinstance(body["pocketrec"], str), what, "kind or pocketrec")
    _need(isinstance(content, dict), what, "content")
    _need(_is_count(chunk_bytes) and 0 < chunk_bytes <= CHUNK_LIMIT_BYTES, what, "chunk_bytes")
    _need(chunk_bytes % PAGE_BYTES == 0 and isinstance(body["files"], list), what, "chunk_bytes or files")
    files = tuple(_read_file(entry, chunk_bytes, what) for entry in body["files"])
    _check_sets(files, what)
    return Manifest(
        kind=kind, content=content, pocketrec=body["pocketrec"], chunk_bytes=chunk_bytes, files=files
    )  # fmt: skip


def _read_file(entry: Any, chunk_bytes: int, what: str) -> FileEntry:
    _need(isinstance(entry, dict) and set(entry) == {"name", "part", "bytes", "sha256", "tensors"}, what, "a file")
    name, part, file_bytes, hashes = entry["name"], entry["part"], entry["bytes"], entry["sha256"]
    found = FILE_NAME.fullmatch(name) if isinstance(name, str) else None
    if found is None or found["part"] != part:
        raise ArtifactCorrupt(
            f"{what} names a file {str(name)[:80]!r} of a part {str(part)[:80]!r}: not a name of ours."
        )
    _need(_is_count(file_bytes), what, f"bytes of {name}")
    _need(
        isinstance(hashes, list) and all(isinstance(h, str) and _HASH.fullmatch(h) for h in hashes),
        what,
        f"hashes of {name}",
    )
    _need(len(hashes) == chunk_count(file_bytes, chunk_bytes), what, f"the number of hashes of {name}")
    _need(file_id(tuple(hashes)) == found["id"], what, f"the name {name}, which does not fit its hashes")
    _need(isinstance(entry["tensors"], list), what, f"tensors of {name}")
    tensors = tuple(_read_tensor(tensor, name, what) for tensor in entry["tensors"])
    return FileEntry(name=name, part=part, file_bytes=file_bytes, hashes=tuple(hashes), tensors=tensors)


def _read_tensor(tensor: Any, name: str, what: str) -> TensorEntry:
    fits = isinstance(tensor, dict) and set(tensor) == {"name", "dtype", "shape", "offset"}
    fits = (
        fits and isinstance(tensor["name"], str) and isinstance(tensor["dtype"], str) and tensor["dtype"] in ITEM_BYTES
    )
    _need(fits and is_shape(tensor["shape"]) and _is_count(tensor["offset"]), what, f"a tensor of {name}")
    return TensorEntry(
        name=tensor["name"], dtype=tensor["dtype"], shape=tuple(tensor["shape"]), offset=tensor["offset"]
    )


def _check_sets(files: tuple[FileEntry, ...], what: str) -> None:
    """Every part is one file, or whole and in order; no tensor's name stands twice in a part."""
    sets: dict[str, list[FileEntry]] = {}
    for entry in files:
        sets.setdefault(entry.part, []).append(entry)
    _need(
        [e.part for e in files] == [part for part, members in sets.items() for _ in members], what, "the order of files"
    )
    for part, members in sets.items():
        expected = [file_name(part, k, len(members), e.hashes) for k, e in enumerate(members, 1)]
        _need(
            [e.name for e in members] == expected, what, f"the files of part {part}: some are missing or out of order"
        )
        names = [tensor.name for entry in members for tensor in entry.tensors]
        _need(len(set(names)) == len(names), what, f"a tensor that stands twice in part {part}")


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _need(fits: bool, what: str, about: str) -> None:
    if not fits:
        raise ArtifactCorrupt(f"{what} does not add up: {about}.")
