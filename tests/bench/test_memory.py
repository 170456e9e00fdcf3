"""Needs, and who may begin."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketrec.bench.cells import CellMaker
from pocketrec.bench.memory import Admission, need_of, usable_bytes
from pocketrec.bench.places import make_synthetic
from pocketrec.bench.study import read_study
from pocketrec.spec.errors import BudgetTextError

STUDY = """
seeds = [0]
budgets = ["1x", "2x"]
methods = ["full", "hash_rows"]
[base]
dim = 4
[[data]]
name = "made"
synthetic = { preset = "criteo", rows = 300, cardinalities = [200, 100] }
"""


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> CellMaker:
    folder = tmp_path_factory.mktemp("study")
    (folder / "s.toml").write_text(STUDY, encoding="utf-8")
    study = read_study(folder / "s.toml")
    assert study.data[0].synthetic is not None
    make_synthetic(study.data[0].synthetic, folder)
    return CellMaker(study=study, folder=None, cache=folder)


def test_a_need_grows_with_the_tables(maker: CellMaker) -> None:
    (data,), (full, hashed) = maker.study.data, maker.study.methods
    small = need_of(maker.of_method(data, hashed, "2x", 0), maker.cache)
    wide = maker.of_method(data, hashed, "2x", 0, tuned={"dim": 4096})
    assert small.refusal is None
    assert small.bytes > 600 << 20
    # rows x dim x 4 bytes of the half of the rows, with their optimizer's state, three times and a quarter more
    assert need_of(wide, maker.cache).bytes - small.bytes > 3 * need_of(wide, maker.cache).budget_bytes
    assert full.name == "full"


def test_a_budget_below_the_floor_is_a_refusal_that_names_it(maker: CellMaker) -> None:
    (data,), (full, _) = maker.study.data, maker.study.methods
    need = need_of(maker.of_method(data, full, "2x", 0), maker.cache)
    assert need.refusal is not None
    assert need.refusal.startswith("full needs at least")
    assert (need.bytes, need.budget_bytes > 0) == (0, True)
    assert need_of(maker.of_method(data, full, "1x", 0), maker.cache).refusal is None


def test_what_a_method_does_not_take_is_a_refusal(maker: CellMaker) -> None:
    (data,), (full, _) = maker.study.data, maker.study.methods
    assert need_of(maker.of_method(data, full, "1x", 0, storage="int3"), maker.cache).refusal is not None


def test_cells_begin_as_long_as_they_fit() -> None:
    room = Admission(100)
    assert room.take("a", 60)
    assert not room.take("b", 50)
    assert room.take("c", 40)
    assert room.taken == 100
    room.give_back("a")
    assert room.take("b", 50)
    assert (room.too_large(100), room.too_large(101)) == (False, True)
    room.give_back("nobody")
    assert room.taken == 90


def test_the_limit_is_the_users_word_or_a_share_of_what_is_free(tmp_path: Path) -> None:
    assert usable_bytes("16GiB") == 16 << 30
    with pytest.raises(BudgetTextError, match=r"--memory must be absolute"):
        usable_bytes("16x")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    5000 kB\nX\n")
    assert usable_bytes(system=tmp_path) == 4000 * 1024
    groups = tmp_path / "sys" / "fs" / "cgroup"
    groups.mkdir(parents=True)
    (groups / "memory.max").write_text("max\n")
    (groups / "memory.current").write_text("1024000\n")
    assert usable_bytes(system=tmp_path) == 4000 * 1024
    (groups / "memory.max").write_text("2048000\n")
    assert usable_bytes(system=tmp_path) == 800 * 1024
    assert usable_bytes() > 0
