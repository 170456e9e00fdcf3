from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec.compress import Bank, build, freeze, size, stages
from pocketrec.compress.methods.dedup import METHOD
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import TableSpec
from pocketrec.testing.cases import refusal
from pocketrec.testing.method_contract import MethodContract

DIM, LENGTH = 4, 6
TABLES = [TableSpec(name="a", rows=40, dim=DIM), TableSpec(name="b", rows=17, dim=DIM)]  # 57 rows: 10 pages, one short
ROWS, PAGES, KEPT = 57, 10, 4
BUDGET = 4 * PAGES + KEPT * LENGTH * 16
SGD = OptimizerSpec(name="sgd", lr=0.1)


class TestDedup(MethodContract):
    method = METHOD
    variants = ({}, {"page_rows": 2000, "whole_epochs": 2})


def sized(optimizer: OptimizerSpec = SGD, **options: Any) -> Sizing:
    return size(TABLES, BUDGET, "dedup", optimizer=optimizer, **{"page_rows": LENGTH, **options})


def whole(rows: Tensor, **options: Any) -> Bank:
    """A bank in its first stage that holds these rows."""
    bank = build(stages(sized(**options))[0][1], seed=0)
    with torch.no_grad():
        bank.groups[0].tensor("rows").copy_(rows)  # type: ignore[operator]
    return bank


def levels(*found: float) -> Tensor:
    """Rows of the tables, one number per page."""
    return torch.tensor(found).repeat_interleave(LENGTH)[:ROWS, None].expand(-1, DIM).contiguous()


def alike() -> Tensor:
    """Ten pages of four kinds; page 4 begins in table a, and page 6 in both."""
    return levels(0.0, 5.0, 0.0, 9.0, 0.0, 5.0, 0.0, 2.0, 0.0, 0.0)


def all_ids() -> Tensor:
    return torch.stack([torch.arange(40), torch.arange(40) % 17], dim=1)


# -- sizes -----------------------------------------------------------------------------------------------------------


def test_pages_that_are_kept_follow_from_the_budget() -> None:
    """The benchmark's count: of n pages, n - (bytes - map) / (bytes of a page) must be aliased, rounded up."""
    (group,) = sized().groups
    assert group.settings == {"page_rows": LENGTH, "pages": PAGES, "kept": KEPT}
    assert {t.name: t.shape for t in group.serve} == {"rows": (KEPT * LENGTH, DIM), "map": (PAGES,)}
    for budget, kept in ((BUDGET - 1, KEPT - 1), (BUDGET + LENGTH * 16 - 1, KEPT), (10**6, PAGES)):
        (group,) = size(TABLES, budget, "dedup", page_rows=LENGTH).groups
        assert group.settings["kept"] == kept
    (group,) = size(TABLES, 10**6, "dedup", page_rows=10_000).groups
    assert group.settings == {"page_rows": ROWS, "pages": 1, "kept": 1}, "a page is no longer than all tables"


def test_the_floor_is_one_page_of_the_best_length() -> None:
    for rows, row_bytes in ((1, 16), (2, 16), (57, 16), (1000, 16), (99_991, 16)):
        tables = [TableSpec(name="t", rows=rows, dim=4)]
        best = min(4 * -(-rows // length) + length * row_bytes for length in range(1, rows + 1))
        assert METHOD().least_bytes(tables) == best
        (group,) = size(tables, best, "dedup").groups
        assert group.settings["kept"] == 1
    assert METHOD(page_rows=10).least_bytes(TABLES) == 4 * 6 + 10 * 16


@pytest.mark.parametrize("rows", [5382, 316_191, 33_762_577])
@pytest.mark.parametrize("ratio", [2, 5, 10, 50, 100])
def test_pages_are_a_handful_to_hundreds(rows: int, ratio: int) -> None:
    sizing = size([TableSpec(name="t", rows=rows, dim=16)], f"{ratio}x", "dedup")
    (group,) = sizing.groups
    pages, kept = group.settings["pages"], group.settings["kept"]
    assert pages <= 1024
    assert kept >= 8 or rows * 16 < 10**6 * ratio, "small tables at high ratios keep one or two"
    assert kept < 100
    assert 8 * 4 * pages <= sizing.budget_bytes or kept == 1
    assert sizing.unused_bytes < 0.05 * sizing.budget_bytes
    assert f"{pages} pages of" in sizing.notes[0]


def test_training_holds_all_rows_first_and_what_is_served_then() -> None:
    (first, whole_sizing), (last, sizing) = stages(sized(OptimizerSpec(name="rowwise_adagrad"), whole_epochs=3))
    assert (first.name, first.epochs, first.optimizer) == ("whole", 3, "reset")
    assert (last.name, last.epochs, last.optimizer) == ("shared", None, "keep")
    assert whole_sizing.train_bytes == ROWS * (16 + 4)
    assert sizing.train_bytes == KEPT * LENGTH * (16 + 4) + 4 * PAGES + 4
    assert whole_sizing.serve_bytes == sizing.serve_bytes == BUDGET


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"page_rows": 0}, "page_rows"),
        ({"page_rows": 2**31}, "page_rows"),
        ({"fp": 0.0}, "fp"),
        ({"fp": float("inf")}, "fp"),
        ({"sim": 1.1}, "sim"),
        ({"lsh_width": 0.0}, "lsh_width"),
        ({"lsh_bands": 0}, "lsh_bands"),
        ({"lsh_collisions": 91}, "lsh_collisions"),
        ({"whole_epochs": 0}, "whole_epochs"),
    ],
)
def test_options_out_of_range_are_refused(options: Mapping[str, Any], word: str) -> None:
    refusal(OptionError, lambda: METHOD(**options), f"dedup: {word} must")


# -- sharing ---------------------------------------------------------------------------------------------------------


def test_equal_pages_cost_nothing() -> None:
    """Four kinds of pages in the bytes of four: every id reads what it read before."""
    before = whole(alike())
    after = build(sized(), seed=7, previous=before)
    assert torch.equal(after(all_ids()), before(all_ids()))
    tensors = after.tensors()
    assert int(tensors["0.doublings"]) == 0
    assert tensors["0.map"].tolist() == [0, 1, 0, 2, 0, 1, 0, 3, 0, 0]
    assert torch.equal(tensors["0.rows"].view(KEPT, LENGTH, DIM)[:, 0, 0], torch.tensor([0.0, 5.0, 9.0, 2.0]))


def test_a_budget_is_kept_where_no_pages_are_alike() -> None:
    rows = torch.randn(ROWS, DIM, generator=torch.Generator().manual_seed(0))
    after = build(sized(), seed=0, previous=whole(rows))
    assert int(after.tensors()["0.doublings"]) > 0
    assert len(after.tensors()["0.map"].unique()) == KEPT
    assert freeze(after).held_bytes() == BUDGET


def test_thresholds_are_the_methods_options() -> None:
    """Pages drift by 0.00043 each: pages 0, 2, 4 ... are 0.00086 apart, pages 1 and 5 twice as much."""
    rows = alike() + torch.linspace(0, 0.004, ROWS)[:, None]
    for fp, doublings in ((0.01, 0), (0.0005, 2)):
        after = build(sized(fp=fp), seed=0, previous=whole(rows, fp=fp))
        assert int(after.tensors()["0.doublings"]) == doublings


def test_state_comes_with_the_rows() -> None:
    adam = OptimizerSpec(name="adam")
    before = build(stages(sized(adam))[0][1], seed=0)
    with torch.no_grad():
        for number, name in enumerate(("rows", "rows.first", "rows.second")):
            before.groups[0].tensor(name).copy_(alike() + 100 * number)  # type: ignore[operator]
    tensors = build(sized(adam), seed=0, previous=before).tensors()
    for number, name in enumerate(("0.rows", "0.rows.first", "0.rows.second")):
        kept = torch.tensor([0.0, 5.0, 9.0, 2.0]) + 100 * number
        assert torch.equal(tensors[name], kept.repeat_interleave(LENGTH)[:, None].expand(-1, DIM))


def step(bank: Bank, ids: Sequence[Sequence[int]]) -> None:
    bank(torch.tensor(ids)).sum().backward()
    bank.step()


def test_a_shared_page_learns_from_all_that_read_it() -> None:
    """Ids 1 (page 0), 13 (page 2) and 25 (page 4) of table a and 9 of b (row 49, page 8) read one row."""
    bank = build(sized(), seed=0, previous=whole(alike()))
    before = bank.tensors()["0.rows"].clone()
    step(bank, [[1, 9], [13, 9], [25, 9]])
    expected = before.clone()
    expected[1] -= 0.1 * 6  # SGD: every read adds a gradient of 1
    torch.testing.assert_close(bank.tensors()["0.rows"], expected)


def test_freezing_after_the_first_stage_shares_as_entering_the_second_does() -> None:
    rows = torch.randn(ROWS, DIM, generator=torch.Generator().manual_seed(1))
    for storage in ("float32", "int8", "int8_trained", "bfloat16_trained"):
        sizing = size(TABLES, "2x", "dedup", storage=storage, page_rows=LENGTH)
        bank = build(stages(sizing)[0][1], seed=0)
        if storage in ("float32", "int8"):
            with torch.no_grad():
                bank.groups[0].tensor("rows").copy_(rows)  # type: ignore[operator]
        early, late = freeze(bank), freeze(build(sizing, seed=0, previous=bank))
        assert early.sizing.groups[0].settings == sizing.groups[0].settings
        assert early.held_bytes() == sizing.serve_bytes
        for name, tensor in early.tensors().items():
            assert torch.equal(tensor, late.tensors()[name]), (storage, name)


def test_a_dense_model_is_shared_without_training() -> None:
    rows, bank = alike(), build(sized(), seed=0)
    (group,) = bank.groups
    weights = {"a": rows[:40], "b": rows[40:]}
    with torch.no_grad():
        METHOD(page_rows=LENGTH).from_dense(group, weights)  # type: ignore[arg-type]
    assert torch.equal(bank(all_ids()), torch.stack([rows[:40], rows[40:][torch.arange(40) % 17]], dim=1))


def test_the_next_day_begins_with_whole_tables_that_say_the_same() -> None:
    shared = build(sized(OptimizerSpec(name="adagrad")), seed=0)
    step(shared, [[1, 2], [3, 4]])
    again = build(stages(sized(OptimizerSpec(name="adagrad")))[0][1], seed=5, previous=shared)
    assert torch.equal(again(all_ids()), shared(all_ids()))
    state, pages = shared.tensors()["0.rows.sum"], shared.tensors()["0.map"].long()
    assert torch.equal(again.tensors()["0.rows.sum"][6], state[pages[1] * LENGTH])


def test_other_rows_or_pages_are_no_continuation() -> None:
    bank = build(sized(), seed=0)
    other = size([TABLES[0], TableSpec(name="b", rows=18, dim=DIM)], BUDGET + 96, "dedup", page_rows=LENGTH)
    refusal(
        OptionError, lambda: build(other, seed=0, previous=bank), "rows per table were [40, 17] and are now [40, 18]"
    )
    shorter = size(TABLES, BUDGET, "dedup", page_rows=5)
    refusal(OptionError, lambda: build(shorter, seed=0, previous=bank), "pages were")
