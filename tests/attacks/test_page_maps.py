"""Artifacts whose page map, or page length, somebody made up: refused or read as it says, never read outside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec.compress import Bank, attach, build, freeze, size
from pocketrec.native import binding, use_backend
from pocketrec.spec.table import TableSpec

LENGTH, KEPT, PAGES = 6, 4, 10
TABLES = [TableSpec(name="a", rows=40, dim=4), TableSpec(name="b", rows=17, dim=4)]


@pytest.fixture(params=["reference", "compiled"], autouse=True)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "compiled" and binding._built is None:
        pytest.skip("the compiled part was not built")
    with use_backend(request.param):
        yield request.param


def served() -> Bank:
    return freeze(build(size(TABLES, 4 * PAGES + KEPT * LENGTH * 16, "dedup", page_rows=LENGTH), seed=0))


def with_map(entries: list[int]) -> Bank:
    bank = served()
    tensors = {**bank.tensors(), "0.map": torch.tensor(entries, dtype=torch.int32)}
    return attach(bank.sizing, tensors)


def with_settings(**settings: Any) -> Bank:
    bank = served()
    (group,) = bank.sizing.groups
    sizing = replace(bank.sizing, groups=(replace(group, settings={**group.settings, **settings}),))
    return attach(sizing, bank.tensors())


def ids(a: int, b: int) -> Tensor:
    return torch.tensor([[a, b]])


@pytest.mark.parametrize("entry", [KEPT, KEPT + 1, 2**29, 2**31 - 1])
def test_a_page_beyond_those_that_are_kept_is_refused(entry: int) -> None:
    bank = with_map([0, entry, *[1] * (PAGES - 2)])
    assert bool(torch.isfinite(bank(ids(LENGTH - 1, 16))).all()), "ids of other pages are served"
    for id in (LENGTH, 2 * LENGTH - 1):
        with pytest.raises(IndexError, match="lies beyond the 24 rows"):
            bank(ids(id, 0))
        with pytest.raises(IndexError, match="lies beyond the 24 rows"):
            bank(torch.tensor([id, 0]), torch.tensor([0, 1, 2]))


@pytest.mark.parametrize("entry", [-1, -2, -(2**31)])
def test_a_page_below_zero_is_none(entry: int) -> None:
    bank = with_map([entry, *[1] * (PAGES - 1)])
    found = bank(ids(0, 5))
    assert not found[0, 0].any()
    assert found[0, 1].any()


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (0, "paged needs n in"),
        (-5, "n must lie in"),
        (1, "paged needs 0 <= b and b"),
        (5, "paged needs 0 <= b and b"),
        (2**31, "paged needs n in"),
        (2**62, "n must lie in"),
    ],
)
def test_a_made_up_length_is_refused(length: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        with_settings(page_rows=length)(ids(0, 0))


def test_longer_pages_than_there_are_rows_are_refused() -> None:
    """All rows lie in page 0 then: those of the second table are numbers 40 to 56."""
    with pytest.raises(IndexError, match="address 40 lies beyond the 24 rows"):
        with_settings(page_rows=2**31 - 1)(ids(3, 0))
