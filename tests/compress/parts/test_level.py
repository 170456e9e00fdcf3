from __future__ import annotations

import pytest

from pocketrec.compress.parts.level import hashed_or_exact, rows_wanted
from pocketrec.spec.table import IdSpace, TableSpec


@pytest.mark.parametrize(
    ("space", "rows", "ids", "told_apart", "exact"),
    [
        ("rank", 30, "rank", 29, True),
        ("rank", 29, "hash63", 0, False),
        ("plain", 30, "plain", 0, True),
        ("plain", 29, "plain", 0, False),
        ("hash63", 30, "hash63", 0, False),
    ],
)
def test_all_rows_make_a_table_exact(space: IdSpace, rows: int, ids: str, told_apart: int, exact: bool) -> None:
    table = TableSpec(name="t", rows=30, dim=4, ids=space)
    sized = hashed_or_exact(table, rows)
    assert (sized.ids, sized.told_apart, sized.settings) == (ids, told_apart, {"rows": rows, "exact": exact})
    assert not hashed_or_exact(table, rows, may_be_exact=False).settings["exact"]


def test_an_open_table_takes_what_others_leave() -> None:
    assert rows_wanted(TableSpec(name="t", rows=30, dim=4)) == 30
    assert rows_wanted(TableSpec(name="t", rows=None, dim=4, ids="hash63")) > 2**50
