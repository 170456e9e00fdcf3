from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from pocketrec.artifact import files
from pocketrec.artifact import load as load_module
from pocketrec.artifact.load import load_artifact
from pocketrec.artifact.manifest import Manifest
from pocketrec.artifact.save import save_artifact
from pocketrec.spec.errors import ArtifactCorrupt, ArtifactError, IdError, UnknownName

# Hostile artifacts are in tests/attacks/test_load.py.

MODEL = Manifest(kind="model", content={"dim": 4})
CHUNK_BYTES = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An artifact whose table lies in 5 chunks of 4,096 bytes, after one with the header."""
    parts = {"tables": {"item": torch.arange(5000, dtype=torch.int32).reshape(1000, 5)}, "nets": {"w": torch.ones(3)}}
    save_artifact(tmp_path / "model", MODEL, parts, chunk_bytes=CHUNK_BYTES)
    return tmp_path / "model"


def spoil(path: Path, part: str, at: int) -> None:
    (file,) = path.glob(f"{part}-*.safetensors")
    raw = bytearray(file.read_bytes())
    raw[at] ^= 1
    file.write_bytes(raw)


def test_full_finds_every_spoiled_byte_at_once(path: Path) -> None:
    spoil(path, "tables", 4096 + 2 * CHUNK_BYTES)
    with pytest.raises(
        ArtifactCorrupt, match=r"tables-.*bytes 12,288 to 16,384 \(chunk 4 of 6\) differ from their hash"
    ):
        load_artifact(path)


def test_lazy_finds_it_when_the_part_is_used(path: Path) -> None:
    spoil(path, "tables", 4096 + 2 * CHUNK_BYTES)
    artifact = load_artifact(path, verify="lazy")
    assert artifact.tensors("nets")["w"].tolist() == [1, 1, 1]
    with pytest.raises(ArtifactCorrupt, match="chunk 4 of 6"):
        artifact.tensors("tables")
    with pytest.raises(ArtifactCorrupt, match="chunk 4 of 6"):
        artifact.verify()


def test_rows_check_only_the_chunks_they_lie_in(path: Path) -> None:
    spoil(path, "tables", 4096 + 2 * CHUNK_BYTES)
    artifact = load_artifact(path, verify="lazy")
    # rows of 20 bytes: the third chunk of data holds the end of row 409 to the beginning of row 614
    for start, stop in ((0, 409), (615, 1000), (7, 7), (500, 500)):
        assert artifact.rows("tables", "item", start, stop)[:, 0].tolist() == list(range(5 * start, 5 * stop, 5))
    for start, stop in ((409, 410), (500, 501), (614, 615), (0, 1000)):
        with pytest.raises(ArtifactCorrupt, match="chunk 4 of 6"):
            artifact.rows("tables", "item", start, stop)


def test_rows_can_be_written_to(path: Path) -> None:
    artifact = load_artifact(path)
    rows = artifact.rows("tables", "item", 0, 2)
    rows += 1
    assert artifact.rows("tables", "item", 0, 1).tolist() == [[0, 1, 2, 3, 4]]


def test_tensor_bytes_leave_out_headers_and_gaps(tmp_path: Path, make_parts: Any) -> None:
    parts = make_parts(1)
    save_artifact(tmp_path, MODEL, parts, file_limit_bytes=1)
    artifact = load_artifact(tmp_path)
    for part, tensors in parts.items():
        assert artifact.tensor_bytes(part) == sum(t.nbytes for t in tensors.values())
    assert artifact.tensor_bytes("empty") == 0
    on_disk = sum(file.stat().st_size for file in tmp_path.glob("*.safetensors"))
    assert artifact.manifest.file_bytes == on_disk > sum(artifact.tensor_bytes(part) for part in parts)


def test_names_that_are_not_there(path: Path) -> None:
    artifact = load_artifact(path)
    with pytest.raises(UnknownName, match=r"No part called 'table'\. Did you mean 'tables'"):
        artifact.tensors("table")
    with pytest.raises(UnknownName, match="No part"):
        artifact.tensor_bytes("net")
    with pytest.raises(UnknownName, match=r"No tensor called 'items'\. Did you mean 'item'"):
        artifact.rows("tables", "items", 0, 1)
    with pytest.raises(IdError):
        artifact.rows("tables", "item", 0, 1001)


def test_kind(path: Path) -> None:
    assert load_artifact(path, kind="model").manifest.kind == "model"
    with pytest.raises(ArtifactError, match="is a model, not a checkpoint"):
        load_artifact(path, kind="checkpoint")


def test_verify_is_full_or_lazy(path: Path) -> None:
    with pytest.raises(ArtifactError, match="not 'none'"):
        load_artifact(path, verify="none")  # type: ignore[arg-type]


def test_places_without_an_artifact(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="There is no artifact at"):
        load_artifact(tmp_path / "no")
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match="is not a folder"):
        load_artifact(tmp_path / "file")
    with pytest.raises(ArtifactCorrupt, match=r"has no manifest.json: it is no artifact, or its saving did not finish"):
        load_artifact(tmp_path)
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(ArtifactError, match="Cannot open the artifact"):
        load_artifact(tmp_path / "circle")


def test_an_artifact_can_be_moved_and_linked(path: Path, tmp_path: Path) -> None:
    shutil.move(path, tmp_path / "elsewhere")
    (tmp_path / "link").symlink_to("elsewhere")
    assert load_artifact(tmp_path / "link").tensors("nets")["w"].tolist() == [1, 1, 1]


def test_opening_copies_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    real = files.read
    monkeypatch.setattr(files, "read", lambda file, count, offset: sizes.append(count) or real(file, count, offset))
    artifact = load_artifact(path)
    artifact.tensors("tables")
    assert sorted(sizes)[-2:] == [4096, 4096] or max(sizes) == (path / "manifest.json").stat().st_size
    assert sum(sizes) <= (path / "manifest.json").stat().st_size + 2 * (8 + 4096)


def test_a_reader_survives_a_save_between_manifest_and_files(
    path: Path, monkeypatch: pytest.MonkeyPatch, make_parts: Any, holds: Any
) -> None:
    turns = []
    real = load_module._manifest_text

    def slow(folder: Path) -> bytes:
        raw = real(folder)
        if len(turns) < 2:
            turns.append(1)
            save_artifact(path, MODEL, make_parts(len(turns)))
        return raw

    monkeypatch.setattr(load_module, "_manifest_text", slow)
    assert holds(load_artifact(path), make_parts(2))
    assert len(turns) == 2


def test_a_reader_that_is_always_late_gives_up(path: Path, monkeypatch: pytest.MonkeyPatch, make_parts: Any) -> None:
    turns = []
    real = load_module._manifest_text

    def late(folder: Path) -> bytes:
        raw = real(folder)
        turns.append(1)
        save_artifact(path, MODEL, {"tables": {"it": torch.tensor(len(turns))}})
        return raw

    monkeypatch.setattr(load_module, "_manifest_text", late)
    with pytest.raises(ArtifactError, match="replaced 20 times"):
        load_artifact(path)


def test_a_file_that_is_gone_is_corrupt(path: Path) -> None:
    next(path.glob("nets-*")).unlink()
    with pytest.raises(ArtifactCorrupt, match=r"nets-.* is missing; the manifest beside it names it"):
        load_artifact(path)


def test_a_disk_that_cannot_be_read(path: Path, disk: Any) -> None:
    load_artifact(path)
    for at in range(1, len(disk.calls) + 1):
        disk.arm(at, "broken")
        with pytest.raises(ArtifactError, match=r"Cannot open the artifact .*: injected"):
            load_artifact(path)
