from __future__ import annotations

from collections.abc import Callable

import torch

from pocketrec.compress.addressing.paged import Paged

Found = Callable[..., list[list[int]]]

MAPS = torch.tensor([9, 2, 0, -1, 2, 9], dtype=torch.int32)


def test_the_map_names_the_page_and_the_id_the_place_in_it(found: Found) -> None:
    table = Paged(start=100, ids=12, page_rows=3, map_start=1)
    expected = [[106], [107], [108], [100], [101], [102], [-1], [-1], [-1], [106], [107], [108]]
    assert found(table, list(range(12)), maps=MAPS) == expected


def test_a_table_may_begin_inside_a_page(found: Found) -> None:
    table = Paged(start=0, ids=4, page_rows=3, first=2, map_start=1)
    assert found(table, [0, 1, 2, 3], maps=MAPS) == [[8], [0], [1], [2]]


def test_later_ids_read_what_the_fold_reads(found: Found) -> None:
    assert found(Paged(start=0, ids=5, page_rows=3, map_start=1), [5, 2**40], maps=MAPS) == [[6], [6]]
    assert found(Paged(start=0, ids=5, page_rows=3, map_start=1, fold=4), [5], maps=MAPS) == [[1]]
    assert found(Paged(start=0, ids=9, page_rows=3, map_start=1, fold=7), [9], maps=MAPS) == [[-1]]
