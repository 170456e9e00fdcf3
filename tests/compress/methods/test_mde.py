from __future__ import annotations

import math

import pytest
import torch

from pocketrec.compress import Bank, build, size
from pocketrec.compress.methods.mde import METHOD
from pocketrec.spec.budget import dense_float32_bytes
from pocketrec.spec.cardinalities import CARDINALITIES
from pocketrec.spec.errors import BudgetTooSmall, OptionError
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import TableSpec
from pocketrec.testing.cases import groups_of
from pocketrec.testing.method_contract import MethodContract

# Published cardinalities without an unknown row, as the VLDB 2024 benchmark counts them.
KAGGLE = [TableSpec(name=f"C{i + 1}", rows=n, dim=16) for i, n in enumerate(CARDINALITIES["kaggle"])]
# The dims of the benchmark's run at 9.3 % of Criteo. Its 14 is that of a table of four rows; no power of two, and so
# none of its own law, which the 16 here keeps.
CRITEO_DIMS = [8, 8, 1, 2, 8, 8, 4, 8, 16, 4, 4, 1, 4, 8, 4, 2, 16, 4, 8, 16, 2, 16, 16, 4, 8, 4]
TABLES = [TableSpec(name=n, rows=rows, dim=8) for n, rows in (("a", 4000), ("b", 40), ("c", 400), ("d", 600))]


class TestMde(MethodContract):
    method = METHOD
    variants = ({}, {"power_of_two": False}, {"alpha": 0.05})


def widths(sizing: Sizing) -> list[int]:
    """Numbers per id of each table."""
    return [int(sizing.of(name).settings["width"]) for name in sizing.order]


def mixed(budget: str = "4x", **options: object) -> Bank:
    return build(size(TABLES, budget, "mde", **options), seed=0)


def test_the_dims_of_the_published_run_on_criteo() -> None:
    sizing = size(KAGGLE, "9.3%", "mde")
    assert widths(sizing) == CRITEO_DIMS
    numbers = sum(t.closed_rows * d + (16 * d if d < 16 else 0) for t, d in zip(KAGGLE, CRITEO_DIMS, strict=True))
    assert sizing.serve_bytes == 4 * numbers
    assert f"{sizing.serve_bytes / dense_float32_bytes(KAGGLE):.2%}" == "9.29%"


def test_powers_of_two_jump() -> None:
    """A little more than a half, a little less, a quarter and the floor, whatever the budget between them is."""
    shares = [size(KAGGLE, f"{p}%", "mde").serve_bytes / dense_float32_bytes(KAGGLE) for p in (51, 50, 25, 9.2, 6.5)]
    assert 0.50 < shares[0] < 0.51
    assert 0.35 < shares[1] < 0.45
    assert shares[3] < 0.08
    assert 0.0625 < shares[4] < 0.065


@pytest.mark.parametrize("power_of_two", [True, False])
def test_the_law(power_of_two: bool) -> None:
    """dim x (least / n) ** alpha, to a whole number, then to the nearest power of two."""
    rows, alpha = (10, 17, 30, 120, 900, 50_000), 0.31
    tables = [TableSpec(name=str(n), rows=n, dim=12) for n in rows]
    method = METHOD(alpha=alpha, power_of_two=power_of_two)
    found = widths(method.size(tables, "1x"))
    whole = [round(12 * (10 / n) ** alpha) for n in rows]
    assert whole == [12, 10, 9, 6, 3, 1]
    expected = [12, 8, 8, 8, 4, 1] if power_of_two else whole
    kept = [w if n * w + 12 * w < 12 * n else 12 for n, w in zip(rows, expected, strict=True)]
    assert kept[1:3] == ([12, 12] if not power_of_two else [12, 8]), "a matrix may cost more than it saves"
    assert found == kept


def test_the_smallest_alpha_that_fits() -> None:
    for budget in ("2x", "3x", "5x"):
        for power_of_two in (True, False):
            sizing = size(TABLES, budget, "mde", power_of_two=power_of_two)
            alpha = sizing.groups[0].settings["alpha"]
            assert size(TABLES, budget, "mde", alpha=alpha, power_of_two=power_of_two).serve_bytes == sizing.serve_bytes
            with pytest.raises(BudgetTooSmall):
                size(TABLES, budget, "mde", alpha=alpha - 1e-9, power_of_two=power_of_two)


def test_whole_numbers_use_more_of_the_budget_than_powers_of_two() -> None:
    assert size(KAGGLE, "9.3%", "mde", power_of_two=False).serve_bytes / (0.093 * dense_float32_bytes(KAGGLE)) > 0.97
    assert size(TABLES, "2x", "mde", power_of_two=False).unused_bytes < size(TABLES, "2x", "mde").unused_bytes


def test_the_floor_is_one_number_per_id() -> None:
    floor = 4 * sum(t.closed_rows + 8 for t in TABLES)
    assert METHOD().least_bytes(TABLES) == floor
    assert widths(size(TABLES, floor, "mde")) == [1, 1, 1, 1]
    with pytest.raises(BudgetTooSmall, match=f"at least {floor:,} serve bytes"):
        size(TABLES, floor - 1, "mde")
    assert METHOD().least_bytes(KAGGLE) / dense_float32_bytes(KAGGLE) == pytest.approx(1 / 16, rel=1e-4)


def test_tables_of_one_size_get_one_width() -> None:
    """No alpha tells them apart, so the dim of the smallest falls, and theirs with it."""
    alike = [TableSpec(name=n, rows=1000, dim=8) for n in "abc"]
    assert widths(size(alike, "2x", "mde", power_of_two=False)) == [3, 3, 3]
    assert widths(size(alike, "2x", "mde")) == [2, 2, 2]
    assert widths(size(alike, "1x", "mde")) == [8, 8, 8]


def test_a_group_per_width_and_a_matrix_per_narrowed_table() -> None:
    bank = mixed("2x")
    assert widths(bank.sizing) == [2, 8, 4, 4]
    assert [(g.settings["width"], [t.table.name for t in g.tables]) for g in bank.sizing.groups] == [
        (8, ["b"]), (4, ["c", "d"]), (2, ["a"]),
    ]  # fmt: skip
    shapes = {name: tuple(t.shape) for name, t in bank.tensors().items() if "rows.sum" not in name and name != "steps"}
    assert shapes == {
        "0.rows": (40, 8), "1.rows": (1000, 4), "1.widen": (2, 4, 8), "2.rows": (4000, 2), "2.widen": (1, 2, 8),
    }  # fmt: skip


def test_rows_and_matrices_learn_as_autograd_says() -> None:
    bank = mixed("2x")
    ids = torch.tensor([[3999, 5, 399, 7], [3, 5, 399, 8], [3999, 6, 1, 7]])
    factors = torch.randn(3, 4, 8, generator=torch.Generator().manual_seed(0))
    (bank(ids) * factors).sum().backward()
    bank.collect()
    held = {n: t.clone().requires_grad_() for n, t in bank.tensors().items() if n.endswith(("rows", "widen"))}
    tables = {
        "a": held["2.rows"] @ held["2.widen"][0], "b": held["0.rows"], "c": held["1.rows"][:400] @ held["1.widen"][0],
        "d": held["1.rows"][400:] @ held["1.widen"][1],
    }  # fmt: skip
    (torch.stack([tables[n][ids[:, i]] for i, n in enumerate("abcd")], dim=1) * factors).sum().backward()
    for index, group in enumerate(groups_of(bank)):
        found = torch.zeros_like(held[f"{index}.rows"])
        found[bank.pending[index].addresses] = bank.pending[index].grads
        torch.testing.assert_close(found, held[f"{index}.rows"].grad)
        if index:
            torch.testing.assert_close(group.tensor("widen").grad, held[f"{index}.widen"].grad)


def test_vectors_begin_as_wide_as_those_of_whole_tables() -> None:
    bank = build(size([TableSpec(name="a", rows=50_000, dim=64), TableSpec(name="b", rows=300, dim=64)], "5x", "mde",
                      init=0.5), seed=0)  # fmt: skip
    assert widths(bank.sizing) == [8, 64]
    for name, rows in (("a", 50_000), ("b", 300)):
        assert float(bank.rows(name, 0, rows).var()) == pytest.approx(0.5**2 / 3, rel=0.1)


def test_from_dense_is_the_best_table_of_that_width() -> None:
    bank = mixed("2x")
    draw = torch.Generator().manual_seed(0)
    weights = {t.name: torch.randn(t.closed_rows, 8, generator=draw) for t in TABLES}
    with torch.no_grad():
        for group in groups_of(bank):
            group.method.from_dense(group, weights)
    assert torch.equal(bank.rows("b", 0, 40), weights["b"])
    for name, width in (("a", 2), ("c", 4), ("d", 4)):
        lost = (bank.rows(name, 0, len(weights[name])) - weights[name]).square().sum()
        torch.testing.assert_close(
            lost, torch.linalg.svdvals(weights[name])[width:].square().sum(), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("alpha", [-0.1, math.inf, math.nan])
def test_options_are_checked(alpha: float) -> None:
    with pytest.raises(OptionError, match="alpha must be 0 or more, and finite"):
        METHOD(alpha=alpha)
