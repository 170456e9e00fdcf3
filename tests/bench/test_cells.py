"""Cells and their keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pocketrec.bench.cells import CellMaker, key_of, tuned_text
from pocketrec.bench.study import read_study
from pocketrec.spec.errors import OptionError
from pocketrec.spec.result import Result

STUDY = """
seeds = [0, 1]
budgets = ["10x"]
methods = ["min_count"]
[base]
dim = 4
train = { epochs = 2, batch_size = 64 }
[[cells]]
method = "robe"
budget = 20236
"options.block" = 4
"model.top" = [8]
[[data]]
name = "made"
synthetic = { preset = "criteo", rows = 100 }
"train.epochs" = 3
"""
IDENTITY = {"commit": "3f1c", "command": "pocketrec bench s.toml"}


@pytest.fixture
def maker(tmp_path: Path) -> CellMaker:
    return maker_of(STUDY, tmp_path)


def maker_of(text: str, tmp_path: Path) -> CellMaker:
    (tmp_path / "s.toml").write_text(text, encoding="utf-8")
    return CellMaker(study=read_study(tmp_path / "s.toml"), folder=tmp_path, cache=tmp_path)


def test_a_written_cell_has_the_values_of_base_data_and_cell(maker: CellMaker) -> None:
    cell = maker.written(0, maker.study.data[0], 1)
    config = cell.config
    assert (config.method, config.budget, config.seed, config.dim) == ("robe", 20236, 1, 4)
    assert (config.train.epochs, config.train.batch_size, config.model.top) == (3, 64, (8,))
    assert config.options == {"block": 4}
    assert cell.key == ("made", "robe", "20236", 1, "model.top=[8] options.block=4", "", -1)
    assert len(config.schema["fields"]) == 40  # type: ignore[index]
    assert maker.written(0, maker.study.data[0], 1) is cell, "made once"


def test_a_cell_of_a_method_has_what_was_tuned_above_all(maker: CellMaker) -> None:
    (data,), (entry,) = maker.study.data, maker.study.methods
    cell = maker.of_method(data, entry, "10x", 0, storage="int8", tuned={"train.epochs": 5}, trial=2)
    assert cell.config.train.epochs == 5
    assert cell.config.options == {"storage": "int8"}
    assert not cell.config.refit
    assert maker.of_method(data, entry, "10x", 0, tuned={"refit": True}).config.refit
    assert cell.key == ("made", "min_count", "10x", 0, "options.storage=int8", '{"train.epochs": 5}', 2)
    assert cell.title == "min_count 10x seed 0 options.storage=int8 trial 2"


def test_a_storage_that_the_method_does_not_take_is_a_refusal(maker: CellMaker) -> None:
    (data,), (entry,) = maker.study.data, maker.study.methods
    cell = maker.of_method(data, entry, "10x", 0, storage="int3")
    assert cell.refusal is not None
    assert cell.refusal.startswith("options: No storage called 'int3'")
    line = cell.not_run(cell.refusal, IDENTITY)
    assert (line.storage, line.failed, line.method, line.data) == ("int3", False, "min_count", "made")
    assert key_of(line, named_data=True) == cell.key


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"robe"', '"rbe"', r"s\.toml: cells\[0\]: method: No method called 'rbe'"),
        ('"options.block" = 4', '"options.blcok" = 4', r"cells\[0\]: options: .*blcok"),
        ("20236", '"7y"', r"cells\[0\]: budget: Cannot read the budget '7y'"),
        ("dim = 4", 'dim = "wide"', r"cells\[0\]: dim: "),
        ('preset = "criteo"', 'preset = "crit"', "preset"),
    ],
)
def test_a_mistake_names_file_and_place(old: str, new: str, message: str, tmp_path: Path) -> None:
    maker = maker_of(STUDY.replace(old, new), tmp_path)
    with pytest.raises((OptionError, LookupError), match=message):
        maker.written(0, maker.study.data[0], 0)


@pytest.mark.parametrize(("written", "own"), [("compo", "quotient_remainder"), ("robe", "robe")])
def test_a_line_gives_the_key_of_its_cell_back(written: str, own: str, tmp_path: Path) -> None:
    maker = maker_of(STUDY.replace('"min_count"', f'"{written}"'), tmp_path)
    (data,), (entry,) = maker.study.data, maker.study.methods
    cell = maker.of_method(data, entry, "10x", 1, tuned={"optimizer.lr": 0.1})
    ran: dict[str, Any] = {
        "commit": "3f1c", "data": "made", "model": "dlrm", "method": own, "budget": "10x", "budget_bytes": 5, "seed": 1,
        "options": {"block": 3},
    }  # fmt: skip
    line = cell.of(Result(**ran))
    assert (line.options, line.tuned) == ({"block": 3, "cell": ""}, {"optimizer.lr": 0.1})
    assert key_of(Result.from_json_line(line.to_json_line()), named_data=True) == cell.key
    assert key_of(line, named_data=False)[0] == ""


def test_tuned_values_are_equal_whatever_their_order() -> None:
    assert tuned_text({"b": 1, "a": [2]}) == tuned_text({"a": [2], "b": 1}) == '{"a": [2], "b": 1}'
    assert tuned_text({}) == ""
