from __future__ import annotations

import pytest

from pocketrec.compress.access import Access, Combine
from pocketrec.compress.addressing.row import Row
from pocketrec.native import Combining


def test_the_numbers_are_those_of_the_ops() -> None:
    assert {c.name: int(c) for c in Combine} == {c.name.lower(): int(c) for c in Combining}


def test_an_access_is_a_value() -> None:
    access = Access(regions=("rows",), addressing=[Row(start=0, rows=3)], width=4)
    assert access == Access(regions=("rows",), addressing=[Row(start=0, rows=3)], width=4)
    assert (access.parts, access.combine, access.maps, access.widen) == (1, Combine.copy, None, None)
    with pytest.raises(AttributeError):
        access.width = 5  # type: ignore[misc]
