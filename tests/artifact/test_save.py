from __future__ import annotations

import errno
import gc
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from pocketrec.artifact import files
from pocketrec.artifact.load import load_artifact
from pocketrec.artifact.manifest import Manifest
from pocketrec.artifact.save import save_artifact
from pocketrec.spec.errors import ArtifactError

# Faults, kills and power cuts are in test_faults.py.

MODEL = Manifest(kind="model", content={"dim": 4})


def snapshot(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_what_is_saved_is_loaded(tmp_path: Path, make_parts: Any, holds: Any) -> None:
    parts = make_parts(1)
    manifest = save_artifact(tmp_path / "runs" / "today" / "model", MODEL, parts)
    artifact = load_artifact(tmp_path / "runs" / "today" / "model")
    assert artifact.manifest == manifest
    assert manifest.content == {"dim": 4}
    assert manifest.pocketrec
    assert holds(artifact, parts)
    assert {file.name for file in artifact.path.iterdir()} == {"manifest.json", *(e.name for e in manifest.files)}
    assert manifest.file_bytes == sum((artifact.path / e.name).stat().st_size for e in manifest.files)


def test_the_same_gives_the_same_bytes(tmp_path: Path, make_parts: Any) -> None:
    save_artifact(tmp_path / "a", MODEL, make_parts(1))
    save_artifact(tmp_path / "b", MODEL, make_parts(1))
    once = snapshot(tmp_path / "a")
    assert once == snapshot(tmp_path / "b")
    save_artifact(tmp_path / "a", MODEL, make_parts(1))
    assert once == snapshot(tmp_path / "a")


def test_the_official_reader_opens_every_file(tmp_path: Path, make_parts: Any) -> None:
    manifest = save_artifact(tmp_path / "a", MODEL, make_parts(1), file_limit_bytes=1)
    assert len(manifest.files) > len(manifest.parts)
    for entry in manifest.files:
        read = safetensors.torch.load_file(tmp_path / "a" / entry.name)
        assert {tensor.name for tensor in entry.tensors} == {name for name in read if not name.startswith("__pad_")}


def test_saving_over_another_leaves_nothing_of_it(tmp_path: Path, make_parts: Any, holds: Any) -> None:
    path = tmp_path / "model"
    save_artifact(path, MODEL, make_parts(1))
    mapped = load_artifact(path).tensors("tables")
    manifest = save_artifact(path, MODEL, {"other": {"a": torch.ones(3)}})
    assert {file.name for file in path.iterdir()} == {"manifest.json", manifest.files[0].name}
    assert holds(load_artifact(path), {"other": {"a": torch.ones(3)}})
    assert torch.equal(mapped["item.rows"], make_parts(1)["tables"]["item.rows"])  # whoever had it still has it


def test_saving_over_itself_from_its_own_map(tmp_path: Path, make_parts: Any, holds: Any) -> None:
    path = tmp_path / "model"
    save_artifact(path, MODEL, make_parts(1))
    artifact = load_artifact(path)
    save_artifact(path, MODEL, {part: artifact.tensors(part) for part in ("tables", "nets")})
    assert holds(load_artifact(path), {part: make_parts(1)[part] for part in ("tables", "nets")})


def test_large_parts_become_several_files(tmp_path: Path, holds: Any) -> None:
    parts = {"tables": {f"t{k}": torch.full((100, 20), float(k)) for k in range(5)}, "nets": {"w": torch.ones(3)}}
    manifest = save_artifact(tmp_path / "a", MODEL, parts, file_limit_bytes=25_000)
    names = [entry.name for entry in manifest.files]
    assert [name[:22] for name in names[:3]] == [f"tables-0000{k}-of-00003-"[:22] for k in (1, 2, 3)]
    assert names[3].startswith("nets-")
    assert "-of-" not in names[3]
    artifact = load_artifact(tmp_path / "a")
    assert holds(artifact, parts)
    assert artifact.tensor_bytes("tables") == 5 * 100 * 20 * 4
    assert artifact.rows("tables", "t4", 7, 9).tolist() == [[4.0] * 20] * 2


def test_saving_and_loading_leave_no_file_open(tmp_path: Path, make_parts: Any) -> None:
    def open_files() -> int:
        gc.collect()
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    save_artifact(tmp_path / "a", MODEL, make_parts(1))
    before = open_files()
    save_artifact(tmp_path / "a", MODEL, make_parts(2))
    assert open_files() == before
    load_artifact(tmp_path / "a")
    assert open_files() == before


def test_no_parts(tmp_path: Path) -> None:
    save_artifact(tmp_path / "a", MODEL, {})
    artifact = load_artifact(tmp_path / "a")
    assert artifact.parts == ()
    assert artifact.manifest.content == {"dim": 4}


@pytest.mark.parametrize("name", ["Tables", "", "a-b", "../a", "a/b", "1a", "a" * 65])
def test_names_of_parts(name: str, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="A part cannot be called"):
        save_artifact(tmp_path / "a", MODEL, {name: {}})
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("chunk_bytes", [0, -4096, 100, 2**31])
def test_chunk_bytes(chunk_bytes: int, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="multiple of 4,096"):
        save_artifact(tmp_path / "a", MODEL, {}, chunk_bytes=chunk_bytes)


def test_bad_content_and_bad_tensors_touch_nothing(tmp_path: Path, make_parts: Any) -> None:
    path = tmp_path / "model"
    save_artifact(path, MODEL, make_parts(1))
    before = snapshot(path)
    with pytest.raises(ArtifactError, match=r"content\.auc is nan"):
        save_artifact(path, Manifest(kind="model", content={"auc": float("nan")}), make_parts(2))
    with pytest.raises(ArtifactError, match="complex64"):
        save_artifact(path, MODEL, {**make_parts(2), "odd": {"a": torch.ones(1, dtype=torch.complex64)}})
    assert snapshot(path) == before


# ---------------------------------------------------------------- where it is saved


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path, make_parts: Any, holds: Any) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    save_artifact(tmp_path / "link", MODEL, make_parts(1))
    save_artifact(tmp_path / "link", MODEL, make_parts(2))
    assert (tmp_path / "link").is_symlink()
    assert holds(load_artifact(tmp_path / "link"), make_parts(2))
    assert holds(load_artifact(tmp_path / "real"), make_parts(2))


def test_a_link_that_leads_nowhere_yet(tmp_path: Path, make_parts: Any, holds: Any) -> None:
    (tmp_path / "link").symlink_to("disk2/model")
    save_artifact(tmp_path / "link", MODEL, make_parts(1))
    assert holds(load_artifact(tmp_path / "disk2" / "model"), make_parts(1))


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, make_parts: Any) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ArtifactError, match=r"holds other files, such as 'thesis\.tex'"):
        save_artifact(tmp_path, MODEL, make_parts(1))
    assert snapshot(tmp_path) == {"thesis.tex": b"mine"}


def test_the_manifest_of_something_else_is_refused(tmp_path: Path, make_parts: Any) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "a browser extension"}')
    with pytest.raises(ArtifactError, match="not of a pocketrec artifact"):
        save_artifact(tmp_path, MODEL, make_parts(1))
    assert snapshot(tmp_path) == {"manifest.json": b'{"name": "a browser extension"}'}


def test_files_beside_an_artifact_are_left_alone(tmp_path: Path, make_parts: Any, holds: Any) -> None:
    save_artifact(tmp_path, MODEL, make_parts(1))
    (tmp_path / "README.md").write_text("about it")
    (tmp_path / "plots").mkdir()
    save_artifact(tmp_path, MODEL, make_parts(2))
    assert (tmp_path / "README.md").read_text() == "about it"
    assert (tmp_path / "plots").is_dir()
    assert holds(load_artifact(tmp_path), make_parts(2))


def test_what_a_kill_left_is_cleaned_by_the_next_save(tmp_path: Path, make_parts: Any, holds: Any) -> None:
    (tmp_path / ".tables-00001.tmp").write_text("half")
    (tmp_path / "tables-0123456789ab.safetensors").write_text("whole, but never named")
    manifest = save_artifact(tmp_path, MODEL, make_parts(1))
    assert {file.name for file in tmp_path.iterdir()} == {"manifest.json", *(entry.name for entry in manifest.files)}
    assert holds(load_artifact(tmp_path), make_parts(1))


def test_a_broken_artifact_can_be_saved_over(tmp_path: Path, make_parts: Any, holds: Any) -> None:
    manifest = save_artifact(tmp_path, MODEL, make_parts(1))
    (tmp_path / manifest.files[0].name).write_bytes(b"rotten")
    text = (tmp_path / "manifest.json").read_text()
    (tmp_path / "manifest.json").write_text(text[: len(text) // 2])
    save_artifact(tmp_path, MODEL, make_parts(1))
    assert holds(load_artifact(tmp_path), make_parts(1))


def test_what_a_newer_manifest_names_is_kept_until_the_new_artifact_is_whole(
    tmp_path: Path, make_parts: Any, disk: Any
) -> None:
    name = "tables-0123456789ab.safetensors"
    (tmp_path / name).write_text("of the future")
    (tmp_path / "manifest.json").write_text('{"format": "pocketrec", "version": 9, "shards": ["%s"]}' % name)  # noqa: UP031
    save_artifact(tmp_path / "count", MODEL, make_parts(1))
    writes = [k for k, (called, _) in enumerate(disk.calls, 1) if called == "write"]
    disk.arm(writes[0], "full")
    with pytest.raises(ArtifactError):
        save_artifact(tmp_path, MODEL, make_parts(1))
    disk.disarm()
    assert (tmp_path / name).exists()


@pytest.mark.parametrize("place", ["file", "file/model", "circle"])
def test_a_place_that_is_no_folder(place: str, tmp_path: Path, make_parts: Any) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(ArtifactError, match=r"Cannot save .*Choose a folder that can be written to"):
        save_artifact(tmp_path / place, MODEL, make_parts(1))
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("call", ["mkdir", "open"])
def test_a_place_without_permission(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_parts: Any
) -> None:
    # injected, because root may write everywhere
    def refuse(path: Any, *arguments: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(ArtifactError, match=r"Cannot save .*model: Permission denied \(.*Choose a folder"):
        save_artifact(tmp_path / "model", MODEL, make_parts(1))


def test_a_parent_that_cannot_be_read_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_parts: Any, holds: Any
) -> None:
    path = tmp_path / "model"
    path.mkdir()
    real = files.sync_folder

    def refuse(folder: Path) -> None:
        if folder == tmp_path.resolve():
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        real(folder)

    monkeypatch.setattr(files, "sync_folder", refuse)
    save_artifact(path, MODEL, make_parts(1))
    assert holds(load_artifact(path), make_parts(1))


@pytest.mark.slow
def test_two_savers_and_a_reader_at_the_same_time(tmp_path: Path, make_parts: Any, holds: Any) -> None:
    path, start = tmp_path / "model", np.arange(3)
    parts = {seed: {"tables": make_parts(seed)["tables"], "seed": {"it": start + seed}} for seed in (1, 2)}
    save_artifact(path, Manifest(kind="model", content={"seed": 1}), parts[1])
    children = []
    for seed in (1, 2):
        child = os.fork()
        if child == 0:
            ended = 1
            try:
                for _ in range(25):
                    save_artifact(path, Manifest(kind="model", content={"seed": seed}), parts[seed])
                ended = 0
            finally:
                os._exit(ended)
        children.append(child)
    seen, running = set(), set(children)
    while running:
        artifact = load_artifact(path)
        seed = artifact.manifest.content["seed"]
        assert holds(artifact, parts[seed])
        seen.add(seed)
        for child in list(running):
            if (ended := os.waitpid(child, os.WNOHANG)) != (0, 0):
                running.remove(child)
                assert ended[1] == 0
    assert seen == {1, 2}
    artifact = load_artifact(path)
    assert {file.name for file in path.iterdir()} == {"manifest.json", *(e.name for e in artifact.manifest.files)}
