from __future__ import annotations

import torch

from pocketrec.compress import build, size
from pocketrec.compress.parts.row_tables import per_table, starts, total_rows, uniform_rows
from pocketrec.spec.sizing import TableSizing
from pocketrec.spec.table import TableSpec

SIZED = [
    TableSizing(table=TableSpec(name=n, rows=99, dim=2), ids="plain", told_apart=0, settings={"rows": rows})
    for n, rows in (("a", 5), ("b", 1), ("c", 7))
]


def test_tables_are_stacked_one_after_the_other() -> None:
    assert starts(SIZED) == [0, 5, 6]
    assert total_rows(SIZED) == 13


def test_views_share_memory() -> None:
    stacked = torch.zeros(13, 2)
    views = per_table(stacked, SIZED)
    views[1].fill_(1)
    assert stacked[5].tolist() == [1, 1]
    assert [len(v) for v in views] == [5, 1, 7]


def test_a_tables_values_do_not_depend_on_its_neighbours() -> None:
    few = [TableSpec(name="a", rows=5, dim=2), TableSpec(name="b", rows=9, dim=2)]
    many = [TableSpec(name="a", rows=50, dim=2), TableSpec(name="b", rows=9, dim=2)]
    banks = [build(size(tables, "1x"), seed=0) for tables in (few, many)]
    assert torch.equal(banks[0].rows("b", 0, 9), banks[1].rows("b", 0, 9))
    group = banks[0].group_of("a")
    uniform_rows(group, "rows", 9.0, seed=1)
    assert banks[0].rows("a", 0, 5).abs().max() > 1
