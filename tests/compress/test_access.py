from __future__ import annotations

import pytest
import torch

from pocketrec.compress.access import Access, Combine
from pocketrec.compress.addressing.row import Row
from pocketrec.native import Combining


def test_the_numbers_are_those_of_the_ops() -> None:
    assert {c.name: int(c) for c in Combine} == {c.name.lower(): int(c) for c in Combining}


def test_an_access_is_a_value() -> None:
    access = Access(regions=("rows",), addressing=[Row(start=0, rows=3)], width=4)
    assert access == Access(regions=("rows",), addressing=[Row(start=0, rows=3)], width=4)
    assert (access.parts, access.combine, access.maps, access.widen) == (1, Combine.copy, None, None)
    assert access.adds_from is None
    assert access.stored is None
    with pytest.raises(AttributeError):
        access.width = 5  # type: ignore[misc]


def test_vectors_that_are_added_hide_nothing() -> None:
    addresses = torch.tensor([[3], [-1], [5], [4]])
    access = Access(regions=("rows",), addressing=[Row(start=0, rows=3)], width=4)
    assert torch.equal(access.hiding(addresses), addresses)
    adding = Access(regions=("rows",), addressing=[Row(start=0, rows=3)], width=4, adds_from=4)
    assert adding.hiding(addresses)[:, 0].tolist() == [3, -1, -1, -1]
