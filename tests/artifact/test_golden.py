"""Old files open for ever: artifacts frozen when their version was new, compared with numbers written down here."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from pocketrec.artifact import latest_checkpoint, load_artifact, migrate, save_artifact

GOLDEN = Path(__file__).parent / "golden"

# Of every frozen file's bytes, by their names relative to golden/. A line is added, never changed.
FROZEN = {
    "v1": "29624989c98efc59038b72c54b240369c755d161c516bb3b130fff634038d491",
}


def numbers(shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> torch.Tensor:
    count = int(torch.Size(shape).numel())
    low = 0 if dtype == torch.uint8 else -50
    return torch.tensor([(seed + k) * 37 % 101 + low for k in range(count)]).to(dtype).reshape(shape)


V1_MODEL = {
    "tables": {
        "item.rows": numbers((37, 4), torch.float32, 1),
        "item.half": numbers((37, 4), torch.float16, 2),
        "item.brain": numbers((37, 4), torch.bfloat16, 3),
        "item.codes": numbers((37, 4), torch.int8, 4),
        "item.packed": numbers((37, 2), torch.uint8, 5),
        "none": torch.empty(0, 4),
    },
    "nets": {"bottom.0.weight": numbers((3, 5), torch.float32, 6), "step": torch.tensor(7.0, dtype=torch.float64)},
    "vocabulary": {"keys": torch.arange(9) * 2**55 + 12_345, "ranks": numbers((9,), torch.int32, 7)},
    "extra": {},
}
V1_CONTENT = {
    "text": 'Größe — 大小 \U0001f30d "quoted" \\ \n',
    "numbers": [0, -1, 2**62, 0.1, 1e-300, -0.0, True, False, None],
    "nested": {"b": {"a": [[], {}]}, "a": ""},
}


def digest(folder: Path) -> str:
    hasher = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        hasher.update(path.relative_to(folder).as_posix().encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return hasher.hexdigest()


@pytest.mark.parametrize("version", sorted(FROZEN))
def test_frozen_files_have_not_changed(version: str) -> None:
    assert digest(GOLDEN / version) == FROZEN[version], "golden files are never made again; restore them from git"


def test_every_version_is_frozen() -> None:
    assert set(FROZEN) == {path.name for path in GOLDEN.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert set(FROZEN) == {f"v{version}" for version in range(1, migrate.VERSION + 1)}


@pytest.mark.parametrize("verify", ["full", "lazy"])
def test_the_model_of_version_1(verify: Any, holds: Any) -> None:
    artifact = load_artifact(GOLDEN / "v1" / "model", verify=verify, kind="model")
    assert holds(artifact, V1_MODEL)
    assert artifact.manifest.content == V1_CONTENT
    assert artifact.manifest.pocketrec == "0.1.0"
    assert artifact.tensor_bytes("tables") == 37 * (16 + 8 + 8 + 4 + 2)
    assert artifact.rows("tables", "item.rows", 36, 37).tolist() == [[-38, -1, 36, -28]]


def test_the_checkpoint_of_version_1() -> None:
    found = latest_checkpoint(GOLDEN / "v1" / "checkpoints")
    assert found is not None
    assert found.manifest.content == {"step": 14_000, "seed": 3}
    assert found.tensors("nets")["w"].tolist() == [44, -20, 17, -47, -10]


def test_the_official_reader_opens_the_files_of_version_1() -> None:
    read: dict[str, torch.Tensor] = {}
    for path in (GOLDEN / "v1" / "model").glob("tables-*.safetensors"):
        read |= safetensors.torch.load_file(path)
    for name, tensor in V1_MODEL["tables"].items():
        assert torch.equal(read[name], tensor)


def test_version_1_is_still_written_byte_for_byte(tmp_path: Path) -> None:
    # when this fails, the form on disk has changed: it needs a new version, a migration and new golden files
    if migrate.VERSION != 1:
        pytest.skip("the form has moved on")
    golden = load_artifact(GOLDEN / "v1" / "model")
    save_artifact(tmp_path, golden.manifest, V1_MODEL, file_limit_bytes=5500, chunk_bytes=4096)
    for path in (GOLDEN / "v1" / "model").glob("*.safetensors"):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
