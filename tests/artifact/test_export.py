"""Programs that torch alone runs: what is inside, that they are written whole, and what is left alone.

That scores are equal elsewhere is checked for every model by `pocketrec.testing.model_contract`.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
import torch

from pocketrec.artifact.export import ABOUT_NAME, export_program, save_program
from pocketrec.compress import attach, build, freeze, size
from pocketrec.models import MODELS, Model, ModelConfig
from pocketrec.spec.errors import ArtifactError
from pocketrec.spec.table import TableSpec

ROWS = 50


def served(dense: int = 2) -> Model:
    bank = freeze(build(size([TableSpec(name=f"t{i}", rows=ROWS, dim=4) for i in range(3)], "1x"), seed=0))
    config = ModelConfig(bottom=(8,), top=(8,))
    return MODELS.get("dlrm")(bank, dense_features=dense, config=config, seed=0).eval()


@pytest.fixture(scope="module")
def model() -> Model:
    return served()


@pytest.fixture(scope="module")
def program(model: Model) -> torch.export.ExportedProgram:
    return export_program(model)


def inputs(batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(batch)
    return torch.randn(batch, 2, generator=draw), torch.randint(ROWS, (batch, 3), generator=draw)


def test_batches_of_any_size_even_one_and_none(model: Model, program: torch.export.ExportedProgram) -> None:
    called = program.module()
    for batch in (0, 1, 2, 3, 17):
        torch.testing.assert_close(called(*inputs(batch)), model(*inputs(batch)))


def test_no_op_of_ours_is_left(program: torch.export.ExportedProgram) -> None:
    called = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert called
    assert not [name for name in called if "pocketrec" in name]


def test_ids_that_no_table_takes_are_refused(program: torch.export.ExportedProgram) -> None:
    dense, ids = inputs(4)
    with pytest.raises(RuntimeError, match="an id is negative"):
        program.module()(dense, -1 - ids)
    with pytest.raises(Exception, match="to be equal to 2, but got 4"):
        program.module()(dense[:2], ids)


def test_the_model_is_left_alone(model: Model, program: torch.export.ExportedProgram) -> None:
    assert all(p.requires_grad for p in model.nets().values())
    assert model(*inputs(3)).requires_grad
    assert not program.module()(*inputs(3)).requires_grad
    ours = {t.data_ptr() for t in model.nets().values()}
    assert not ours & {t.data_ptr() for t in program.state_dict.values()}
    tables = {t.data_ptr() for t in model.bank.tensors().values()}
    assert tables <= {t.data_ptr() for t in program.state_dict.values()}, "large ones are not copied"


def test_a_model_that_trains_is_exported_as_it_serves() -> None:
    trains = served()
    trains.train()
    torch.testing.assert_close(export_program(trains).module()(*inputs(3)), trains.eval()(*inputs(3)))


def test_the_file(model: Model, program: torch.export.ExportedProgram, tmp_path: Path) -> None:
    path = tmp_path / "clicks.pt2"
    written = save_program(program, path, {"model": "dlrm"})
    assert written == path.stat().st_size
    assert list(tmp_path.iterdir()) == [path], "nothing else is left"
    extra = {ABOUT_NAME: ""}
    called = torch.export.load(path, extra_files=extra).module()
    torch.testing.assert_close(called(*inputs(5)), model(*inputs(5)), rtol=1e-5, atol=1e-6)
    about = json.loads(extra[ABOUT_NAME])
    assert about["model"] == "dlrm"
    assert about.keys() == {"model", "pocketrec"}
    save_program(program, path, {"model": "dlrm"})
    assert path.stat().st_size == written


def test_the_file_holds_no_pickle_and_no_path(program: torch.export.ExportedProgram, tmp_path: Path) -> None:
    save_program(program, tmp_path / "clicks.pt2", {})
    with zipfile.ZipFile(tmp_path / "clicks.pt2") as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    assert not [name for name, data in held.items() if data.startswith(b"\x80") or b"GLOBAL" in data]
    assert not [name for name, data in held.items() if name.endswith((".pt", ".pkl")) and data]
    here = str(Path(torch.__file__).parent).encode(), str(Path(__file__).parents[2]).encode()
    assert not [name for name, data in held.items() if any(path in data for path in here)]


def test_of_a_table_that_is_a_part_of_a_larger_memory_only_the_part_is_written(tmp_path: Path) -> None:
    alone = served()
    save_program(export_program(alone), tmp_path / "alone.pt2", {})
    rows, memory = alone.bank.tensors()["0.rows"], torch.zeros(1_000_000)
    part = memory[64 : 64 + rows.numel()].view(rows.shape).copy_(rows)
    shared = alone.with_bank(attach(alone.bank.sizing, {"0.rows": part}))
    assert shared.bank.tensors()["0.rows"].untyped_storage().nbytes() == 4_000_000
    save_program(export_program(shared), tmp_path / "shared.pt2", {})
    assert abs((tmp_path / "shared.pt2").stat().st_size - (tmp_path / "alone.pt2").stat().st_size) < 1000
    called = torch.export.load(tmp_path / "shared.pt2").module()
    torch.testing.assert_close(called(*inputs(5)), alone(*inputs(5)), rtol=1e-5, atol=1e-6)


def test_what_was_there_stays_when_writing_fails(
    program: torch.export.ExportedProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clicks.pt2"
    path.write_text("before")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch.export, "save", full)
    with pytest.raises(ArtifactError, match=r"Cannot write .*clicks.pt2: No space left on device"):
        save_program(program, path, {})
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_places_that_cannot_be_written_to(program: torch.export.ExportedProgram, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"with the ending \.pt2"):
        save_program(program, tmp_path / "clicks.pt", {})
    with pytest.raises(ArtifactError, match="Cannot write"):
        save_program(program, tmp_path / "nowhere" / "clicks.pt2", {})
