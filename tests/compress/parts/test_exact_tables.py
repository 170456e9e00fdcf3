from __future__ import annotations

from pocketrec.compress import size
from pocketrec.compress.parts.exact_tables import exact_access, exact_holding, is_exact
from pocketrec.spec.table import TableSpec

LARGE, SMALL = TableSpec(name="large", rows=50_000, dim=4), TableSpec(name="small", rows=30, dim=4)


def test_each_table_has_rows_in_one_group() -> None:
    exact, other = size([LARGE, SMALL], "50x", "random_projection").groups
    assert is_exact(exact)
    assert not is_exact(other)
    assert other.joins == "rest"
    assert [t.settings["rows"] for t in exact.tables] == [0, 30]
    assert [t.settings["rows"] for t in other.tables] == [1, 0]
    assert exact_holding(exact.tables).rows == 30


def test_ids_of_other_tables_have_no_address_in_the_exact_group() -> None:
    exact, _ = size([LARGE, SMALL], "50x", "random_projection").groups
    large, small = exact_access(exact).addressing
    assert large.program(column=0, padding=-1)[5] == -1
    assert small.program(column=0, padding=-1)[5] == 0


def test_where_one_group_is_empty_there_is_only_the_other() -> None:
    (only,) = size([LARGE], "50x", "random_projection").groups
    assert not is_exact(only)
    assert only.joins == "alone"
    (exact,) = size([SMALL], "1x", "random_projection").groups
    assert is_exact(exact)
