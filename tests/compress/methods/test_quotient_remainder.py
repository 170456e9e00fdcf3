from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch

from pocketrec.compress import Bank, build, size
from pocketrec.compress.methods.quotient_remainder import METHOD
from pocketrec.spec.budget import Budget, dense_float32_bytes
from pocketrec.spec.cardinalities import CARDINALITIES
from pocketrec.spec.errors import BudgetTooSmall, OptionError
from pocketrec.spec.table import TableSpec
from pocketrec.testing.method_contract import MethodContract

# Published cardinalities without an unknown row, as the VLDB 2024 benchmark counts them.
KAGGLE = [TableSpec(name=f"C{i}", rows=n, dim=16) for i, n in enumerate(CARDINALITIES["kaggle"])]


class TestQuotientRemainder(MethodContract):
    method = METHOD
    variants = ({}, {"combine": "sum"}, {"divisor": "global"})


def composed(rows: int = 1000, dim: int = 4, budget: str = "8x", **options: object) -> Bank:
    return build(size([TableSpec(name="t", rows=rows, dim=dim)], budget, "quotient_remainder", **options), seed=0)


@pytest.mark.parametrize("rows", [5, 16, 17, 97, 1000, 4096])
def test_every_id_has_a_pair_of_its_own(rows: int) -> None:
    table = TableSpec(name="t", rows=rows, dim=2)
    bank = build(size([table], METHOD().least_bytes([table]), "quotient_remainder"), seed=0)
    (pairs,) = bank.addresses(torch.arange(rows)[:, None])
    assert len(pairs[:, 0].unique(dim=0)) == rows
    assert len(bank.rows("t", 0, rows).unique(dim=0)) == rows, "and so a vector of its own"


def test_both_pieces_are_used_whole() -> None:
    bank = composed()
    (pairs,) = bank.addresses(torch.arange(1000)[:, None])
    sized = bank.sizing.of("t").settings
    assert pairs[:, 0, 0].unique().tolist() == list(range(sized["quotients"]))
    assert (pairs[:, 0, 1].unique() - sized["quotients"]).tolist() == list(range(sized["remainders"]))


def test_neighbouring_ranks_do_not_share_their_quotient() -> None:
    """The most frequent ids are the first ones; without the permutation they would all read one quotient row."""
    bank = composed()
    (pairs,) = bank.addresses(torch.arange(20)[:, None])
    assert len(pairs[:, 0, 0].unique()) > 15


# Rows at m: sum of ceil(n / m) + m. Two remainders give 50 % of the rows and 52 rows more, so 50 % needs three; in the
# same way 10 % needs 11 and 1 % needs 101. Tables of 3 and 4 ids, which two rows and more would not make smaller, stay
# as they are, and 8 bytes hold the seed: neither is enough to change m.
@pytest.mark.parametrize(("percent", "m"), [("50%", 3), ("10%", 11), ("1%", 101)])
def test_the_global_divisor_is_that_of_the_benchmark(percent: str, m: int) -> None:
    sizing = size(KAGGLE, percent, "quotient_remainder", divisor="global")
    assert sizing.groups[0].settings["remainders"] == m
    rows = sum(min(-(-t.closed_rows // m) + m, t.closed_rows) for t in KAGGLE)
    assert sizing.serve_bytes == 64 * rows + 8
    assert Fraction(64 * sum(-(-t.closed_rows // (m - 1)) + m - 1 for t in KAGGLE)) > Fraction(
        Budget.parse(percent).resolve(KAGGLE) - 8
    ), "one remainder fewer does not fit"


def test_a_thousandth_is_out_of_reach() -> None:
    with pytest.raises(BudgetTooSmall) as caught:
        size(KAGGLE, "0.1%", "quotient_remainder", divisor="global")
    share = caught.value.least_bytes / dense_float32_bytes(KAGGLE)
    assert 0.0013 < share < 0.0014, "the benchmark's smallest is 0.138 %"


def test_the_floor_of_the_global_divisor_is_the_true_minimum() -> None:
    tables = [TableSpec(name=str(n), rows=n, dim=1) for n in (3, 24, 105, 633, 5683, 20_000)]
    rows = min(sum(min(-(-t.closed_rows // m) + m, t.closed_rows) for t in tables) for m in range(1, 20_000))
    assert METHOD(divisor="global").least_bytes(tables) == 8 + 4 * rows


def test_per_table_divisors_reach_lower() -> None:
    assert METHOD().least_bytes(KAGGLE) < METHOD(divisor="global").least_bytes(KAGGLE)
    rows = sum(min(n, min(-(-n // m) + m for m in range(1, math.isqrt(n) + 2))) for n in CARDINALITIES["kaggle"][:9])
    assert METHOD().least_bytes(KAGGLE[:9]) == 8 + 64 * rows, "every table at its own minimum"


@pytest.mark.parametrize("combine", ["product", "sum"])
def test_both_factors_learn(combine: str) -> None:
    bank = composed(combine=combine)
    bank.gradient = "dense"
    ids = torch.tensor([[3], [3], [17]])
    factors = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    (bank(ids)[:, 0] * factors).sum().backward()
    rows = bank.group_of("t").tensor("rows")
    (pairs,) = bank.addresses(ids)
    expected = torch.zeros_like(rows)
    for (quotient, remainder), factor in zip(pairs[:, 0].tolist(), factors, strict=True):
        product = combine == "product"
        expected[quotient] += factor * (rows[remainder].detach() if product else 1)
        expected[remainder] += factor * (rows[quotient].detach() if product else 1)
    torch.testing.assert_close(rows.grad, expected)


@pytest.mark.parametrize("combine", ["product", "sum"])
def test_composed_numbers_start_as_wide_as_plain_ones(combine: str) -> None:
    bank = composed(rows=10_000, dim=64, combine=combine)
    plain = build(size([TableSpec(name="t", rows=10_000, dim=64)], "1x"), seed=0)
    ratio = bank.rows("t", 0, 10_000).var() / plain.rows("t", 0, 10_000).var()
    assert 0.9 < ratio < 1.1


def test_small_tables_stay_exact() -> None:
    tables = [TableSpec(name="tiny", rows=4, dim=2), TableSpec(name="large", rows=10_000, dim=2)]
    bank = build(size(tables, "20x", "quotient_remainder"), seed=0)
    (pairs,) = bank.addresses(torch.tensor([[i, 0] for i in range(4)]))
    assert pairs[:, 0].tolist() == [[0, -1], [1, -1], [2, -1], [3, -1]], "one row each, no second factor"


def test_options_are_checked() -> None:
    with pytest.raises(OptionError, match="product or sum"):
        METHOD(combine="max")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="per_table or global"):
        METHOD(divisor="both")  # type: ignore[arg-type]
