from __future__ import annotations

from collections.abc import Callable

import torch

from pocketrec.compress.addressing.mapped import Mapped

Found = Callable[..., list[list[int]]]

MAPS = torch.tensor([9, 9, 2, 0, -1, 1, 9], dtype=torch.int32)


def test_the_map_names_the_row_or_none(found: Found) -> None:
    table = Mapped(start=100, ids=4, map_start=2)
    assert found(table, [0, 1, 2, 3], maps=MAPS) == [[102], [100], [-1], [101]]


def test_later_ids_read_the_entry_of_the_fold(found: Found) -> None:
    assert found(Mapped(start=100, ids=4, map_start=2), [4, 2**40], maps=MAPS) == [[102], [102]]
    assert found(Mapped(start=100, ids=4, map_start=2, fold=3), [4], maps=MAPS) == [[101]]
    assert found(Mapped(start=100, ids=4, map_start=2, fold=2), [4], maps=MAPS) == [[-1]]
