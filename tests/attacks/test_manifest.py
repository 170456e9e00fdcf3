"""Manifests that lie, with the right hash of themselves."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from pocketrec.spec.errors import ArtifactVersion

Attack = Callable[[Any], None]


def in_manifest(*keys: Any, value: Any) -> Attack:
    """An attack that sets one value of the manifest after the files were hashed."""

    def attack(forger: Any) -> None:
        place = forger.body
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return attack


def named(name: str) -> Attack:
    return in_manifest("files", 0, "name", value=name)


def add_tensor(forger: Any, name: str) -> None:
    forger.file["tensors"].append({**forger.file["tensors"][0], "name": name})


MANIFESTS: dict[str, tuple[Attack, str]] = {
    "another format": (in_manifest("format", value="other"), "not the manifest of a pocketrec artifact"),
    "version text": (in_manifest("version", value="1"), "there is none"),
    "version negative": (in_manifest("version", value=-1), "there is none"),
    "version true": (in_manifest("version", value=True), "there is none"),
    "version 0": (in_manifest("version", value=0), "there is none"),
    "kind unknown": (in_manifest("kind", value="pickle"), "kind"),
    "kind a list": (in_manifest("kind", value=["model"]), "kind"),
    "content a list": (in_manifest("content", value=[]), "content"),
    "writer no text": (in_manifest("pocketrec", value=1), "pocketrec"),
    "key too many": (in_manifest("code", value="import os"), "its keys"),
    "key missing": (lambda f: f.body.pop("kind"), "its keys"),
    "files an object": (in_manifest("files", value={}), "files"),
    "file a text": (in_manifest("files", 0, value="x"), "a file"),
    "file without hashes": (lambda f: f.file.pop("sha256"), "a file"),
    "chunks of 0 bytes": (in_manifest("chunk_bytes", value=0), "chunk_bytes"),
    "chunks of -1 bytes": (in_manifest("chunk_bytes", value=-4096), "chunk_bytes"),
    "chunks of 2^62 bytes": (in_manifest("chunk_bytes", value=2**62), "chunk_bytes"),
    "chunks of 1 byte": (in_manifest("chunk_bytes", value=1), "chunk_bytes"),
    "path up": (named("../model2/tables-0123456789ab.safetensors"), "not a name of ours"),
    "path absolute": (named("/etc/passwd"), "not a name of ours"),
    "path into a folder": (named("a/tables-0123456789ab.safetensors"), "not a name of ours"),
    "path with a zero": (named("tables-0123456789ab.safetensors\x00.txt"), "not a name of ours"),
    "path with a line end": (named("tables-0123456789ab.safetensors\n"), "not a name of ours"),
    "path empty": (named(""), "not a name of ours"),
    "path a dot": (named("."), "not a name of ours"),
    "path no text": (named(1), "not a name of ours"),  # type: ignore[arg-type]
    "the manifest as a file": (named("manifest.json"), "not a name of ours"),
    "a pickle by name": (named("tables.pkl"), "not a name of ours"),
    "name of another part": (in_manifest("files", 0, "part", value="nets"), "not a name of ours"),
    "part with a path": (in_manifest("files", 0, "part", value="../x"), "not a name of ours"),
    "bytes negative": (in_manifest("files", 0, "bytes", value=-1), "bytes of"),
    "bytes a float": (in_manifest("files", 0, "bytes", value=8960.0), "bytes of"),
    "bytes huge": (in_manifest("files", 0, "bytes", value=2**62), "number of hashes"),
    "bytes of 4,000 digits": (in_manifest("files", 0, "bytes", value=10**4000), "bytes of"),
    "a hash too few": (lambda f: f.file["sha256"].pop(), "number of hashes"),
    "a hash too many": (lambda f: f.file["sha256"].append("0" * 64), "number of hashes"),
    "a hash of other letters": (in_manifest("files", 0, "sha256", 0, value="g" * 64), "hashes of"),
    "a hash no text": (in_manifest("files", 0, "sha256", 0, value=1), "hashes of"),
    "a hash of other bytes": (in_manifest("files", 0, "sha256", 0, value="0" * 64), "does not fit its hashes"),
    "a file twice": (lambda f: f.body["files"].append(f.body["files"][1]), "some are missing or out of order"),
    "parts mixed": (lambda f: f.body["files"].append({**f.file}), "order of files"),
    "tensors an object": (in_manifest("files", 0, "tensors", value={}), "tensors of"),
    "tensor a text": (in_manifest("files", 0, "tensors", 1, value="rows"), "a tensor of"),
    "tensor of unknown type": (in_manifest("files", 0, "tensors", 1, "dtype", value="object"), "a tensor of"),
    "tensor of an unhashable type": (in_manifest("files", 0, "tensors", 1, "dtype", value=[]), "a tensor of"),
    "tensor of huge shape": (in_manifest("files", 0, "tensors", 1, "shape", value=[2**60, 2**60]), "a tensor of"),
    "tensor of negative shape": (in_manifest("files", 0, "tensors", 1, "shape", value=[-1]), "a tensor of"),
    "tensor at a negative place": (in_manifest("files", 0, "tensors", 1, "offset", value=-4160), "a tensor of"),
    "tensor elsewhere": (in_manifest("files", 0, "tensors", 1, "offset", value=4096), "other tensors than"),
    "tensor of another shape": (in_manifest("files", 0, "tensors", 1, "shape", value=[4, 300]), "other tensors than"),
    "tensor of another name": (in_manifest("files", 0, "tensors", 1, "name", value="row"), "other tensors than"),
    "tensor left out": (lambda f: f.file["tensors"].pop(), "other tensors than"),
    "tensor that is not there": (lambda f: add_tensor(f, "x"), "other tensors than"),
    "tensors out of order": (lambda f: f.file["tensors"].reverse(), "other tensors than"),
    "tensor twice": (lambda f: f.file["tensors"].append(f.file["tensors"][0]), "stands twice in part tables"),
    "content nested deeply": (in_manifest("content", "a", value=json.loads("[" * 63 + "]" * 63)), "nested deeper"),
}  # fmt: skip


@pytest.mark.parametrize("name", MANIFESTS)
def test_hostile_manifest(name: str, forger: Any, refuse: Any) -> None:
    attack, why = MANIFESTS[name]
    forger.hash_files()
    attack(forger)
    forger.hash_manifest()
    refuse(forger.path, why)


TEXTS = {
    "empty": b"",
    "not json": b"\x80\x04\x95",
    "a list": b"[]",
    "null": b"null",
    "NaN": b'{"format": "pocketrec", "version": NaN}',
    "infinite": b'{"format": "pocketrec", "version": 1, "content": {"auc": 1e999}}',
    "duplicate key": b'{"format": "pocketrec", "version": 1, "version": 1}',
    "deep": b'{"format": "pocketrec", "version": 1, "content": ' + b'{"a":' * 100_000,
    "deep lists": b"[" * 100_000,
    "no hash": b'{"format": "pocketrec", "version": 1}',
    "a hash of another type": b'{"format": "pocketrec", "version": 1, "sha256": {"a": 1}}',
    "a number of 5,000 digits": b'{"format": "pocketrec", "version": 1' + b"0" * 5000 + b"}",
    "utf-16": '{"format": "pocketrec"}'.encode("utf-16"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_hostile_text_of_a_manifest(name: str, forger: Any, refuse: Any) -> None:
    (forger.path / "manifest.json").write_bytes(TEXTS[name])
    refuse(forger.path)


def test_a_manifest_of_a_terabyte_is_not_read(forger: Any, refuse: Any) -> None:
    os.truncate(forger.path / "manifest.json", 2**40)
    refuse(forger.path, "none has above 16,777,216")


def test_a_newer_manifest_is_a_matter_of_version(forger: Any, refuse: Any) -> None:
    forger.body["version"] = 2
    forger.hash_manifest()
    refuse(forger.path, "version 2, written by a newer pocketrec", ArtifactVersion)


@pytest.mark.parametrize("key", ["content", "kind", "pocketrec", "chunk_bytes", "files"])
def test_an_edited_manifest_does_not_fit_its_hash(key: str, forger: Any, refuse: Any) -> None:
    forger.body[key] = {"kind": "checkpoint", "content": {"dim": 8}}.get(key, forger.body[key] and 4)
    (forger.path / "manifest.json").write_text(json.dumps(forger.body))
    refuse(forger.path, "own hash")
