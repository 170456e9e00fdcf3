"""What sizing is given, and what it says when that is not enough."""

from __future__ import annotations

import pytest

from pocketrec.compress.given import check_tables, stats_or_zipf
from pocketrec.compress.method import of
from pocketrec.spec.errors import OptionError
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

RANKS = TableSpec(name="a", rows=10, dim=4, ids="rank")


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ([], "no tables"),
        ([RANKS, RANKS], "must be distinct"),
        ([RANKS, TableSpec(name="b", rows=3, dim=5, ids="rank")], "one dim, got \\[4, 5\\]"),
        ([TableSpec(name="b", rows=3, dim=4)], "'b' has plain ids.*these methods take: .*robe.*Say ids='rank'"),
        ([TableSpec(name="b", rows=None, dim=4, ids="hash63")], "'b' has hash63 ids"),
    ],
)
def test_tables_that_cannot_be_held_are_refused(tables: list[TableSpec], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        check_tables(of("min_count"), tables)
    check_tables(of("min_count"), [RANKS])


def test_counts_are_assumed_only_where_they_are_wanted_and_missing() -> None:
    other = TableSpec(name="b", rows=5, dim=4, ids="rank")
    known = {"a": TableStats.of_counts("a", [3, 2])}
    stats, notes = stats_or_zipf(of("min_count"), [RANKS, other], known)
    assert stats["a"] == known["a"]
    assert stats["b"] == TableStats.zipf("b", 4)
    assert notes == ("No counts were given for 1 tables: Zipf 1.05 assumed.",)
    assert stats_or_zipf(of("hash_rows"), [RANKS, other], {}) == ({}, ())
    assumed = {t.name: TableStats.zipf(t.name, 4) for t in (RANKS, other)}
    assert stats_or_zipf(of("min_count"), [RANKS, other], assumed)[1] == ("Zipf 1.05 assumed.",)
