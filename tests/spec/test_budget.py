from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.spec.budget import Budget, dense_float32_bytes
from pocketrec.spec.errors import BudgetError, BudgetTextError
from pocketrec.spec.table import TableSpec

UNITS = {"": 1, "B": 1, "bytes": 1, "byte": 1} | {
    f"{letter}{binary}B": base ** (power + 1)
    for power, letter in enumerate("KMGT")
    for binary, base in (("", 1000), ("i", 1024))
}
TABLES = (TableSpec(name="item", rows=10, dim=4), TableSpec(name="user", rows=3, dim=7))
DENSE = 4 * (10 * 4 + 3 * 7)


@given(st.integers(1, 2**80), st.sampled_from(sorted(UNITS)), st.sampled_from(["", " ", "  "]), st.booleans())
def test_bytes_with_units(number: int, unit: str, space: str, upper: bool) -> None:
    text = f"{space}{number}{space}{unit}{space}"
    assert Budget.parse(text.upper() if upper else text.lower()).serve_bytes == number * UNITS[unit]


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.sampled_from(["KiB", "MB", "GiB"]))
def test_a_part_of_a_byte_is_not_allowed_for(whole: int, millionths: int, unit: str) -> None:
    exact = (whole + Fraction(millionths, 10**6)) * UNITS[unit]
    if exact >= 1:
        assert Budget.parse(f"{whole}.{millionths:06d}{unit}").serve_bytes == exact.__floor__()


@given(st.integers(1, 10**9))
def test_ratios_and_shares_are_exact(number: int) -> None:
    assert Budget.parse(f"{number}x").fraction == Fraction(1, number)
    assert Budget.parse(f"{number} %").fraction == Fraction(number, 100)
    assert Budget.parse(f"{number}.25X").fraction == 1 / (number + Fraction(1, 4))


@given(st.integers(1, 2**70))
def test_ints_are_bytes_and_separators_may_stand_between_thousands(number: int) -> None:
    budget = Budget(serve_bytes=number)
    assert Budget.parse(number) == budget
    assert Budget.parse(f"{number:,}") == budget
    assert Budget.parse(f"{number:_}") == budget


@given(
    st.builds(Budget, serve_bytes=st.integers(1, 2**70))
    | st.integers(1, 10**5).map(lambda n: Budget.parse(f"{n}x"))
    | st.integers(1, 10**5).map(lambda n: Budget.parse(f"{n}%"))
    | st.integers(1, 10**5).map(lambda n: Budget.parse(f"{n / 8}x"))
)
def test_what_a_budget_prints_can_be_read_again(budget: Budget) -> None:
    assert Budget.parse(str(budget)) == budget


@pytest.mark.parametrize(
    ("text", "printed"),
    [("16x", "16x"), ("2.5x", "2.5x"), ("5%", "20x"), ("7%", "7%"), ("64MiB", "67,108,864 bytes"), (5, "5 bytes")],
)
def test_a_budget_prints_as_one_would_write_it(text: str | int, printed: str) -> None:
    assert str(Budget.parse(text)) == printed


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "x",
        "%",
        "MiB",
        "-5",
        "+5",
        "5 apples",
        "1e9",
        "5ib",
        "5i",
        "0x10",
        ".5GB",
        "5.",
        "5 x x",
        "1.2.3",
        "5KiBx",
    ],
)
def test_what_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(BudgetTextError, match="Cannot read the budget") as caught:
        Budget.parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["1,5 GB", "1,5", "12,34", "1,2345", ",5", "1,,000", "1,000_000"])
def test_a_comma_is_no_decimal_point(text: str) -> None:
    with pytest.raises(BudgetTextError, match="Cannot read"):
        Budget.parse(text)


@pytest.mark.parametrize("value", [0.05, 1e9, None, True, b"5"])
def test_other_types_are_named(value: object) -> None:
    with pytest.raises(BudgetTextError, match="Cannot read the budget"):
        Budget.parse(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["0", "0x", "0%", "0.0MiB", "0.5", "0.0001KiB", 0, -3])
def test_nothing_is_no_budget(text: str | int) -> None:
    with pytest.raises(BudgetTextError, match="above 0"):
        Budget.parse(text)


def test_a_budget_is_absolute_or_relative() -> None:
    with pytest.raises(BudgetTextError, match="exactly one"):
        Budget()
    with pytest.raises(BudgetTextError, match="exactly one"):
        Budget(serve_bytes=5, fraction=Fraction(1, 2))
    with pytest.raises(BudgetError, match="training budget must be above 0 bytes, got 0"):
        Budget(serve_bytes=5, train_bytes=0)


def test_a_training_budget_is_absolute() -> None:
    assert Budget.parse("16x", train="1KiB") == Budget(fraction=Fraction(1, 16), train_bytes=1024)
    assert Budget.parse(7, train=9) == Budget(serve_bytes=7, train_bytes=9)
    with pytest.raises(BudgetTextError, match="a training budget must be absolute"):
        Budget.parse("16x", train="4x")


def test_a_budget_stays_one_and_can_be_given_a_training_budget() -> None:
    budget = Budget.parse("16x", train=100)
    assert Budget.parse(budget) is budget
    assert Budget.parse(budget, train="2kB") == Budget(fraction=Fraction(1, 16), train_bytes=2000)


def test_relative_budgets_are_against_dense_float32_tables() -> None:
    assert dense_float32_bytes(TABLES) == DENSE
    assert dense_float32_bytes([]) == 0
    assert Budget.parse("16x").resolve(TABLES) == DENSE // 16
    assert Budget.parse("5%").resolve(TABLES) == DENSE * 5 // 100
    assert Budget.parse("0.5x").resolve(iter(TABLES)) == 2 * DENSE
    assert Budget.parse("1KiB").resolve(TABLES) == 1024


@given(st.integers(1, 10**12), st.integers(1, 64), st.fractions(Fraction(1, 10**6), 4))
def test_a_relative_budget_is_never_above_its_share(rows: int, dim: int, fraction: Fraction) -> None:
    resolved = Budget(fraction=fraction).resolve([TableSpec(name="t", rows=rows, dim=dim)])
    assert resolved <= rows * dim * 4 * fraction < resolved + 1


def test_open_tables_take_absolute_budgets_only() -> None:
    tables = (*TABLES, TableSpec(name="query", rows=None, dim=4, ids="hash63"))
    assert Budget.parse("1KiB").resolve(tables) == 1024
    with pytest.raises(BudgetTextError, match=r"'query' is open .* absolute budget"):
        Budget.parse("16x").resolve(tables)


def test_absolute_bytes_of_a_relative_budget_are_refused() -> None:
    assert Budget.parse("2kB").absolute() == 2000
    with pytest.raises(BudgetTextError, match="this budget must be absolute bytes"):
        Budget.parse("2x").absolute()
