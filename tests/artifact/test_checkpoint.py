from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from pocketrec.artifact.checkpoint import latest_checkpoint, save_checkpoint
from pocketrec.artifact.load import load_artifact
from pocketrec.artifact.manifest import Manifest
from pocketrec.artifact.save import save_artifact
from pocketrec.compress import Bank, attach, build, size
from pocketrec.spec.errors import ArtifactCorrupt, ArtifactError, ArtifactVersion
from pocketrec.spec.table import TableSpec

# Faults, kills and power cuts are in test_faults.py.


def save(folder: Path, step: int, *, keep: int = 2) -> Path:
    return save_checkpoint(folder, step, {"step": step}, {"nets": {"w": torch.full((3,), float(step))}}, keep=keep)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def step_of(folder: Path) -> int:
    found = latest_checkpoint(folder)
    assert found is not None
    step = found.manifest.content["step"]
    assert found.tensors("nets")["w"].tolist() == [step] * 3
    assert isinstance(step, int)
    return step


def spoil(path: Path) -> None:
    file = next(path.glob("nets-*"))
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)


def test_the_newest_is_found_and_the_oldest_go(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "a"
    assert latest_checkpoint(folder) is None
    for step in (10, 20, 30):
        assert save(folder, step) == folder.resolve() / f"save-{step // 10:06d}-step-{step}"
        assert step_of(folder) == step
    assert names(folder) == ["save-000002-step-20", "save-000003-step-30"]
    assert load_artifact(folder / "save-000003-step-30").manifest.kind == "checkpoint"
    save(folder, 40, keep=1)
    assert names(folder) == ["save-000004-step-40"]


def test_newest_is_what_was_saved_last(tmp_path: Path) -> None:
    for step in (100, 200, 150):
        save(tmp_path, step)
    assert step_of(tmp_path) == 150
    assert names(tmp_path) == ["save-000002-step-200", "save-000003-step-150"]
    save(tmp_path, 150)
    assert step_of(tmp_path) == 150


def test_numbers_above_six_digits_are_still_in_order(tmp_path: Path) -> None:
    save(tmp_path, 1)
    (tmp_path / "save-000001-step-1").rename(tmp_path / "save-999999-step-1")
    save(tmp_path, 2)
    assert names(tmp_path) == ["save-1000000-step-2", "save-999999-step-1"]
    assert step_of(tmp_path) == 2


def test_a_broken_one_is_passed_over_and_told(tmp_path: Path) -> None:
    for step in (1, 2):
        save(tmp_path, step)
    spoil(tmp_path / "save-000002-step-2")
    (tmp_path / "save-000003-step-3").mkdir()  # killed before its manifest
    found = latest_checkpoint(tmp_path)
    assert found is not None
    assert found.manifest.content == {"step": 1}
    assert len(found.skipped) == 2
    assert "save-000003-step-3 has no manifest.json" in found.skipped[0]
    assert "differ from their hash" in found.skipped[1]
    assert save(tmp_path, 3).name == "save-000003-step-3"  # the one that was never finished is gone
    assert step_of(tmp_path) == 3
    assert latest_checkpoint(tmp_path).skipped == ()  # type: ignore[union-attr]


def test_a_broken_one_does_not_push_out_a_whole_one(tmp_path: Path) -> None:
    for step in (1, 2):
        save(tmp_path, step)
    next((tmp_path / "save-000002-step-2").glob("nets-*")).unlink()
    save(tmp_path, 3)
    assert names(tmp_path) == ["save-000001-step-1", "save-000003-step-3"]


def test_none_whole_is_an_error_and_not_a_new_start(tmp_path: Path) -> None:
    for step in (1, 2):
        spoil(save(tmp_path, step))
    with pytest.raises(
        ArtifactCorrupt, match=r"None of the 2 checkpoints .*save-000002.*save-000001.*Delete the folder"
    ):
        latest_checkpoint(tmp_path)


def test_only_unfinished_ones_are_a_new_start(tmp_path: Path) -> None:
    (tmp_path / "save-000001-step-5").mkdir()
    (tmp_path / "save-000001-step-5" / ".nets-00001.tmp").write_text("half")
    assert latest_checkpoint(tmp_path) is None
    save(tmp_path, 5)
    assert names(tmp_path) == ["save-000001-step-5"]
    assert step_of(tmp_path) == 5


def test_one_of_a_newer_pocketrec_is_neither_passed_over_nor_removed(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    manifest = tmp_path / "save-000002-step-2" / "manifest.json"
    manifest.write_text(json.dumps({"format": "pocketrec", "version": 99}))
    with pytest.raises(ArtifactVersion):
        latest_checkpoint(tmp_path)
    for step in (3, 4, 5):
        save(tmp_path, step)
    assert names(tmp_path) == ["save-000002-step-2", "save-000004-step-4", "save-000005-step-5"]


def test_other_things_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    save(tmp_path / "best", 1, keep=1)
    (tmp_path / "log.txt").write_text("loss")
    (tmp_path / "save-000001-step-1").write_text("a file of that name")
    for step in (1, 2, 3):
        save(tmp_path, step)
    assert step_of(tmp_path) == 3
    assert step_of(tmp_path / "best") == 1
    assert (tmp_path / "log.txt").read_text() == "loss"
    assert (tmp_path / "save-000001-step-1").read_text() == "a file of that name"


def test_a_model_under_the_name_of_a_checkpoint_is_passed_over(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save_artifact(tmp_path / "save-000002-step-2", Manifest(kind="model"), {})
    found = latest_checkpoint(tmp_path)
    assert found is not None
    assert found.manifest.content == {"step": 1}
    assert "is a model, not a checkpoint" in found.skipped[0]


def test_what_cannot_be_saved_leaves_what_is_there(tmp_path: Path) -> None:
    save(tmp_path, 1)
    with pytest.raises(ArtifactError, match="nan"):
        save_checkpoint(tmp_path, 2, {"loss": float("nan")}, {})
    with pytest.raises(ArtifactError, match="keep must be 1 or more"):
        save(tmp_path, 2, keep=0)
    with pytest.raises(ArtifactError, match="step 0 or more"):
        save(tmp_path, -1)
    assert names(tmp_path) == ["save-000001-step-1"]
    assert step_of(tmp_path) == 1


def test_a_link_to_the_folder_of_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "disk2").mkdir()
    (tmp_path / "link").symlink_to("disk2")
    save(tmp_path / "link", 1)
    assert step_of(tmp_path / "disk2") == step_of(tmp_path / "link") == 1


def test_a_place_that_cannot_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ArtifactError, match="Cannot save"):
        save(tmp_path / "file", 1)
    with pytest.raises(ArtifactError, match="Cannot look for checkpoints"):
        latest_checkpoint(tmp_path / "file")


def test_a_reader_survives_a_saver_that_removes_all_it_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pocketrec.artifact import checkpoint

    save(tmp_path, 1, keep=1)
    real: Any = checkpoint._names
    turns: list[int] = []

    def slow(folder: Path) -> list[str]:
        listed = real(folder)
        if not turns:
            turns.append(1)
            save_checkpoint(tmp_path, 2, {"step": 2}, {"nets": {"w": torch.full((3,), 2.0)}}, keep=1)
        return listed  # type: ignore[no-any-return]

    monkeypatch.setattr(checkpoint, "_names", slow)
    assert step_of(tmp_path) == 2


@pytest.mark.parametrize("storage", ["float32", "bfloat16_trained", "float16_trained", "int8_trained", "alpt", "lsq"])
def test_a_bank_goes_on_from_a_checkpoint_to_the_bit(storage: str, tmp_path: Path) -> None:
    """Rounding is stochastic in most of them; its random numbers need no state but the number of steps."""
    tables = [TableSpec(name="a", rows=40, dim=6), TableSpec(name="b", rows=9, dim=6)]
    sizing = size(tables, "1x", storage=storage)
    through = build(sizing, seed=1)
    _learn(through, 0, 3)
    save_checkpoint(tmp_path, 3, {}, {"tables": through.tensors()}, keep=1)
    _learn(through, 3, 6)
    found = latest_checkpoint(tmp_path)
    assert found is not None
    resumed = attach(sizing, {name: t.clone() for name, t in found.tensors("tables").items()}, form="train")
    _learn(resumed, 3, 6)
    for name, tensor in through.tensors().items():
        assert torch.equal(tensor, resumed.tensors()[name]), name


def _learn(bank: Bank, first: int, end: int) -> None:
    for step in range(first, end):
        draw = torch.Generator().manual_seed(step)
        ids = torch.randint(9, (8, 2), generator=draw)
        (bank(ids) * torch.randn(8, 2, 6, generator=draw)).sum().backward()
        bank.step()
