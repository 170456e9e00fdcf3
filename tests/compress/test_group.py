from __future__ import annotations

import pytest
import torch

from pocketrec.compress import build, freeze, size
from pocketrec.compress.addressing._program import PROGRAM_COLUMNS
from pocketrec.compress.group import POOLING, Group
from pocketrec.native import Pooling
from pocketrec.spec.errors import ArtifactError, OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.table import TableSpec

TABLES = [TableSpec(name="a", rows=50, dim=6), TableSpec(name="b", rows=20, dim=6)]


def group(method: str = "full", budget: str = "1x", optimizer: str = "adam", **options: object) -> Group:
    sizing = size(TABLES, budget, method, optimizer=OptimizerSpec(name=optimizer), **options)  # type: ignore[arg-type]
    return build(sizing, seed=0).group_of("a")


def test_the_numbers_of_pooling_are_those_of_the_ops() -> None:
    assert {p.name.lower(): int(p) for p in Pooling} == POOLING


def test_only_weights_and_matrices_are_parameters() -> None:
    held = group("narrow", "2x", widen=True)
    assert {n for n, _ in held.named_parameters()} == {"t_rows", "t_widen"}
    assert set(held.tensors()) == {"rows", "widen", "rows.first", "rows.second"}
    assert not list(freeze(build(size(TABLES, "1x"), seed=0)).parameters())


def test_state_comes_in_the_order_of_the_update_op() -> None:
    held = group()
    assert [s.name for s in held.sizing.state] == ["rows.first", "rows.second"]
    assert [t.data_ptr() for t in held.state()] == [held.tensor(n).data_ptr() for n in ("rows.first", "rows.second")]


def test_a_unit_is_a_row_or_a_weight() -> None:
    assert (group().unit, group("narrow", "2x").unit, group("robe", "4x").unit) == (6, 3, 1)


def test_a_program_for_one_table_alone() -> None:
    held = group()
    limit, expected = PROGRAM_COLUMNS.index("limit"), held.program[1].tolist()
    assert held.program[:, limit].tolist() == [sized.table.rows for sized in held.sizing.tables]
    expected[0], expected[limit] = 0, -1
    assert held.program_of(1)[0].tolist() == expected
    assert held.program[:, 0].tolist() == [0, 1]


def test_wrong_tensors_are_refused() -> None:
    held = group(optimizer="sgd")
    arguments = {"form": "train", "columns": [0, 1], "places": [0, 1], "padding": [-1, -1]}
    with pytest.raises(ArtifactError, match="'rows' is missing"):
        Group(held.sizing, {}, **arguments)  # type: ignore[arg-type]
    with pytest.raises(ArtifactError, match=r"is \(70,\) torch.float32, the sizing says \(70, 6\)"):
        Group(held.sizing, {"rows": torch.zeros(70)}, **arguments)  # type: ignore[arg-type]


def test_seeds_are_read_again_when_they_were_written() -> None:
    held = group("hash_rows", "4x")
    before = held.program.clone()
    held.tensor("seed").data.fill_(12345)
    assert torch.equal(held.program, before)
    held.refresh()
    assert not torch.equal(held.program, before)
    other = group("hash_rows", "4x")
    other.load_state_dict(held.state_dict())
    assert torch.equal(other.program, held.program), "a state dict brings its seeds with it"


def test_widened_vectors_have_no_maximum() -> None:
    held = group("narrow", "2x", widen=True)
    with pytest.raises(OptionError, match='cannot be pooled by "max"'):
        held.lookup(torch.tensor([1, 2]), torch.tensor([0, 1, 2]), None, "max")


def test_widening_one_by_one_and_all_at_once() -> None:
    held = group("narrow", "2x", widen=True)
    vectors = torch.randn(4, 2, held.access.width, generator=torch.Generator().manual_seed(0))
    tables = torch.tensor([0, 1]).repeat(4)
    torch.testing.assert_close(held.widened(vectors.flatten(0, 1), tables), held.widened(vectors).flatten(0, 1))


def test_it_says_what_it_is() -> None:
    assert "full, 2 tables (a, b ...), train" in repr(group())
