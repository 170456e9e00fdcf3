from __future__ import annotations

import json
from typing import Any

import pytest

from pocketrec.artifact.chunks import file_id
from pocketrec.artifact.header import TensorEntry
from pocketrec.artifact.manifest import FILE_NAME, MANIFEST_LIMIT_BYTES, FileEntry, Manifest, file_name
from pocketrec.spec.errors import ArtifactCorrupt, ArtifactError

# Hostile manifests are in tests/attacks.

HASHES = ("ab" * 32, "cd" * 32)


def entry(part: str, number: int = 1, count: int = 1, name: str = "item") -> FileEntry:
    tensor = TensorEntry(name=name, dtype="float32", shape=(1000, 2), offset=4096)
    return FileEntry(
        name=file_name(part, number, count, HASHES), part=part, file_bytes=12_096, hashes=HASHES, tensors=(tensor,)
    )


def manifest(**changes: Any) -> Manifest:
    return Manifest(
        **{
            "kind": "model",
            "content": {"dim": 2, "none": None, "text": "é\ud800"},
            "pocketrec": "0.1.0",
            "chunk_bytes": 8192,
            "files": (entry("tables"), entry("nets", 1, 2, "a"), entry("nets", 2, 2, "b")),
            **changes,
        }
    )


def test_round_trip() -> None:
    given = manifest()
    assert Manifest.from_bytes(given.to_bytes(), "it") == given
    assert given.parts == ("tables", "nets")
    assert given.file_bytes == 3 * 12_096


def test_tuples_come_back_as_lists() -> None:
    given = manifest(content={"betas": (0.9, 0.999)})
    assert Manifest.from_bytes(given.to_bytes(), "it").content == {"betas": [0.9, 0.999]}


def test_the_text_is_for_people_and_always_the_same() -> None:
    text = manifest().to_bytes()
    assert text == manifest().to_bytes()
    assert text.isascii()
    assert text.endswith(b"\n")
    assert text.startswith(b'{\n "format": "pocketrec",\n "version": 1,\n "kind": "model",\n')
    assert list(json.loads(text)) == [
        "format", "version", "kind", "pocketrec", "content", "chunk_bytes", "files", "sha256",
    ]  # fmt: skip


def test_names_of_files_hold_their_content() -> None:
    assert file_name("tables", 1, 1, HASHES) == f"tables-{file_id(HASHES)}.safetensors"
    assert file_name("tables", 2, 12, HASHES) == f"tables-00002-of-00012-{file_id(HASHES)}.safetensors"
    for name in (file_name("tables", 1, 1, HASHES), file_name("a_1", 2, 12, HASHES)):
        assert FILE_NAME.fullmatch(name)


@pytest.mark.parametrize("changed", ["format", "version", "kind", "pocketrec", "content", "chunk_bytes", "files"])
def test_the_hash_covers_everything(changed: str) -> None:
    body = json.loads(manifest().to_bytes())
    body[changed] = {"version": 1.0, "format": "pocketrec"}.get(changed, ["other"])
    if changed == "format":
        body["more"] = 1
    with pytest.raises(ArtifactCorrupt, match=r"own hash|there is none"):
        Manifest.from_bytes(json.dumps(body).encode(), "it")


def test_spaces_and_order_do_not_matter() -> None:
    body = json.loads(manifest().to_bytes())
    turned = dict(reversed(body.items()))
    assert Manifest.from_bytes(json.dumps(turned, indent=7).encode(), "it") == manifest()


def test_kinds() -> None:
    with pytest.raises(ArtifactError, match="a model or a checkpoint, not 'pickle'"):
        Manifest(kind="pickle")


def test_a_manifest_that_could_not_be_read_is_not_written() -> None:
    with pytest.raises(ArtifactError, match="Keep large things as tensors"):
        manifest(content={"vocabulary": "x" * MANIFEST_LIMIT_BYTES}).to_bytes()
