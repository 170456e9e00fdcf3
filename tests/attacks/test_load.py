"""Hostile artifacts are refused before anything of them is used, and cost no memory.

The attacker knows our format: the hashes of a forged artifact are right unless the attack is a wrong hash.
"""

from __future__ import annotations

import os
import pickle
import random
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import torch

from pocketrec.artifact import latest_checkpoint, load_artifact
from pocketrec.artifact.chunks import file_id
from pocketrec.spec.errors import ArtifactCorrupt, ArtifactError


def test_the_artifact_to_forge_from_is_good(forger: Any) -> None:
    forger.forge()
    artifact = load_artifact(forger.path)
    assert artifact.tensors("tables")["rows"][299, 3] == 1199
    assert [t["offset"] for t in forger.file["tensors"]] == [4096, 4160]
    forger.set_header(forger.header())
    forger.forge()
    load_artifact(forger.path)


def test_header_longer_than_the_file_is_refused(forger: Any, refuse: Any) -> None:
    forger.raw[0] = forger.raw[0][:100]
    forger.forge()
    refuse(forger.path, "claims a header of 4,088 bytes; the file has 100 bytes")


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 4095, 4096, 4097, 8959])
def test_a_file_that_was_cut(size: int, forger: Any, refuse: Any) -> None:
    assert len(forger.raw[0]) == 8960
    (forger.path / forger.file["name"]).write_bytes(forger.raw[0][:size])
    refuse(forger.path, f"has {size:,} bytes, the manifest says 8,960")
    forger.raw[0] = forger.raw[0][:size]
    forger.forge()
    refuse(forger.path)


def test_a_file_that_was_lengthened(forger: Any, refuse: Any) -> None:
    forger.raw[0] += bytes(64)
    forger.forge()
    refuse(forger.path, "has 9,024 bytes; its header accounts for 8,960")


def test_a_header_above_the_limit_is_not_read(forger: Any, refuse: Any) -> None:
    forger.set_header(b'{"a":"' + b"x" * (5 * 2**20) + b'"}')
    forger.forge()
    refuse(forger.path, "no header may have above 4,194,304")


@pytest.mark.slow
def test_a_header_up_to_the_limit_takes_memory_in_proportion(forger: Any) -> None:
    # it must be parsed before it can be judged; empty lists are what takes most per byte
    text = b"[" + b"[]," * (4 * 2**20 // 3 - 2000) + b"[]]"
    forger.set_header(text)
    forger.forge()
    tracemalloc.start()
    with pytest.raises(ArtifactCorrupt, match="not an object"):
        load_artifact(forger.path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 60 * len(text)


def test_a_file_of_a_terabyte_costs_nothing(forger: Any, refuse: Any) -> None:
    # a sparse file: it has the size it claims, and nobody must read it before its header is understood
    path = forger.path / forger.file["name"]
    os.truncate(path, 2**40)
    forger.file["bytes"] = 2**40
    forger.body["chunk_bytes"] = 2**30
    forger.file["sha256"] = ["0" * 64] * 2**10
    forger.body["files"].pop()
    forger.file["name"] = f"tables-{file_id(tuple(forger.file['sha256']))}.safetensors"
    path.rename(forger.path / forger.file["name"])
    forger.hash_manifest()
    refuse(forger.path, "its header accounts for 8,960")


# ---------------------------------------------------------------- files and folders


def test_wrong_data_is_refused_at_the_latest_when_it_is_asked_for(forger: Any) -> None:
    for at in (0, 100, 4095, 4096, 4102, 4130, 4160, 8959):
        raw = bytearray(forger.raw[0])
        raw[at] ^= 0x40
        (forger.path / forger.file["name"]).write_bytes(raw)
        with pytest.raises(ArtifactCorrupt):
            load_artifact(forger.path, verify="full")
        with pytest.raises(ArtifactCorrupt):
            load_artifact(forger.path, verify="lazy").tensors("tables")


def test_missing_files(forger: Any, refuse: Any) -> None:
    (forger.path / forger.body["files"][1]["name"]).unlink()
    refuse(forger.path, "is missing")
    (forger.path / "manifest.json").unlink()
    refuse(forger.path, "has no manifest.json")


@pytest.mark.parametrize("which", ["manifest.json", "tables"])
@pytest.mark.parametrize("kind", ["link", "link to a device", "folder", "pipe", "hanging link"])
def test_only_plain_files_are_opened(kind: str, which: str, forger: Any, refuse: Any, tmp_path: Path) -> None:
    path = forger.path / (forger.file["name"] if which == "tables" else which)
    shutil.move(path, tmp_path / "moved")
    if kind == "link":
        path.symlink_to(tmp_path / "moved")
    elif kind == "link to a device":
        path.symlink_to("/dev/zero")
    elif kind == "hanging link":
        path.symlink_to(tmp_path / "nothing")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    refuse(forger.path, "plain file")


def test_files_that_the_manifest_does_not_name_are_never_opened(forger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (forger.path / "nets.pkl").write_bytes(pickle.dumps({"w": 1}))
    (forger.path / "extra-0123456789ab.safetensors").write_bytes(b"\xff" * 100)
    (forger.path / "link").symlink_to("/dev/zero")
    opened: list[str] = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *more: opened.append(os.fspath(path)) or real(path, *more))
    artifact = load_artifact(forger.path)
    assert artifact.parts == ("tables", "nets")
    assert {Path(path).name for path in opened} == {"manifest.json", *(file["name"] for file in forger.body["files"])}


class Bomb:
    """What a pickle would do to us."""

    gone_off = False

    def __reduce__(self) -> tuple[Any, ...]:
        return setattr, (Bomb, "gone_off", True)


@pytest.mark.parametrize("how", ["pickle", "torch"])
def test_pickles_under_our_names(how: str, forger: Any, refuse: Any, tmp_path: Path) -> None:
    if how == "pickle":
        bomb = pickle.dumps(Bomb())
    else:
        torch.save({"rows": torch.ones(3), "bomb": Bomb()}, tmp_path / "bomb")
        bomb = (tmp_path / "bomb").read_bytes()
    forger.raw[0] = bomb
    forger.forge()
    refuse(forger.path, "claims a header")
    (forger.path / "manifest.json").write_bytes(bomb)
    refuse(forger.path, "cannot be read")
    assert not Bomb.gone_off


def test_a_file_of_another_artifact(forger: Any, new_forger: Any) -> None:
    # a part of the right name, whole in itself, but not the one that the manifest means
    name, raw = forger.file["name"], bytearray(forger.raw[0])
    raw[-4:] = b"\x00\x00\x80\x3f"
    forger.raw[0] = bytes(raw)
    forger.forge()
    shutil.copy(forger.path / forger.file["name"], forger.path / "other")
    again = new_forger()
    shutil.copy(forger.path / "other", again.path / name)
    with pytest.raises(ArtifactCorrupt, match="differ from their hash"):
        load_artifact(again.path)


def test_a_hostile_checkpoint_is_passed_over_or_refused(forger: Any, tmp_path: Path) -> None:
    forger.set_length(2**63)
    forger.body["kind"] = "checkpoint"
    forger.forge()
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.move(forger.path, folder / "save-000001-step-1")
    with pytest.raises(ArtifactCorrupt, match="None of the 1 checkpoints"):
        latest_checkpoint(folder)


# ---------------------------------------------------------------- at random


def test_no_flipped_byte_goes_unnoticed(forger: Any) -> None:
    rng = random.Random(0)
    places = [forger.path / "manifest.json", *(forger.path / file["name"] for file in forger.body["files"])]
    honest = {path: path.read_bytes() for path in places}
    content = load_artifact(forger.path).manifest
    unnoticed = 0
    for turn in range(240):
        path = places[turn % len(places)]
        raw = bytearray(honest[path])
        at = rng.randrange(min(len(raw), 2000) if rng.random() < 0.5 else len(raw))
        raw[at] ^= 1 << rng.randrange(8)
        path.write_bytes(raw)
        try:
            assert load_artifact(forger.path).manifest == content
            assert path.name == "manifest.json"
            assert bytes(honest[path][at : at + 1]).isspace()  # a space that became a line end or so
            unnoticed += 1
        except ArtifactError:
            pass
        path.write_bytes(honest[path])
    assert unnoticed < 5


def test_random_headers_never_get_through_or_break_anything(forger: Any) -> None:
    rng = random.Random(1)
    honest = forger.raw[0]
    for _ in range(400):
        raw = bytearray(honest)
        for _ in range(rng.randrange(1, 4)):
            raw[rng.randrange(8 if rng.random() < 0.2 else 420)] = rng.choice(b'0123456789[]{},:"-.eE\\u \x00\xff_')
        if raw == honest:
            continue
        forger.raw[0] = bytes(raw)
        forger.forge()
        try:
            artifact = load_artifact(forger.path, verify="lazy")
        except ArtifactError:
            continue
        # what may change without anybody's harm: a gap's name, the metadata, spaces
        assert artifact.tensors("tables")["rows"].sum() == 1199 * 1200 / 2
