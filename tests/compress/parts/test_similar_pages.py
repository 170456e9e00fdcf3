from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pocketrec.compress.parts.similar_pages import Alike, find_shared_pages, take_pages

DIM, LENGTH = 4, 8
EXACT = Alike(fp=1e-6, width=1e-3)


def pages(*levels: float) -> Tensor:
    """A page of one number each."""
    return torch.cat([torch.full((LENGTH, DIM), level) for level in levels])


def random_pages(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count * LENGTH, DIM, generator=torch.Generator().manual_seed(seed))


def stands_for(found: object) -> list[int]:
    """The page that stands for each."""
    kept: Tensor = found.kept  # type: ignore[attr-defined]
    return kept[found.map.long()].tolist()  # type: ignore[attr-defined, no-any-return]


def test_equal_pages_become_one() -> None:
    own = random_pages(3)
    rows = torch.cat([own, own[LENGTH : 2 * LENGTH], own[:LENGTH], own[LENGTH : 2 * LENGTH]])
    found = find_shared_pages(rows, LENGTH, 3, EXACT)
    assert found.doublings == 0
    assert found.map.dtype is torch.int32
    by_page = stands_for(found)
    assert by_page[0] == by_page[4]
    assert by_page[1] == by_page[3] == by_page[5]
    assert len(set(by_page)) == 3
    kept = take_pages(rows, found.kept, LENGTH).view(3, LENGTH, DIM)
    assert torch.equal(kept[found.map.long()].view_as(rows), rows), "nothing is lost"


def test_no_more_pages_are_shared_than_must_be() -> None:
    rows = pages(*[0.5] * 9)
    for kept in range(1, 10):
        found = find_shared_pages(rows, LENGTH, kept, EXACT)
        assert (len(found.kept), found.doublings) == (kept, 0)
        assert found.kept.tolist() == sorted(found.kept.tolist())
        assert sorted(set(found.map.tolist())) == list(range(kept))


def test_those_of_small_third_quartiles_go_first() -> None:
    """Two pairs of equal pages, of which one pair may be shared: not the one of large numbers."""
    rows = pages(9.0, 9.0, -1.0, -1.0)
    assert stands_for(find_shared_pages(rows, LENGTH, 3, EXACT)) == [0, 1, 2, 2]
    assert stands_for(find_shared_pages(-rows, LENGTH, 3, EXACT)) == [0, 0, 2, 3]
    # of signed numbers: a quarter above, three quarters below
    rows = pages(0.0, 0.0, 1.0, 1.0)
    rows[2 * LENGTH + 1 :: LENGTH] = -5
    rows[2 * LENGTH + 2 :: LENGTH] = -5
    assert stands_for(find_shared_pages(rows, LENGTH, 3, EXACT))[:2] == [0, 0]


@pytest.mark.parametrize(("fp", "doublings"), [(0.1, 0), (0.0999, 1), (0.04, 2)])
def test_numbers_are_the_same_within_fp(fp: float, doublings: int) -> None:
    """Where pages differ by 0.1 only doubled thresholds make them one; a third page is far away."""
    rows = pages(0.0, 0.1, 50.0)
    found = find_shared_pages(rows, LENGTH, 2, Alike(fp=fp, width=1000.0))
    assert found.doublings == doublings
    assert stands_for(found) == [0, 0, 2]


@pytest.mark.parametrize(("sim", "merged"), [(0.75, True), (0.76, False)])
def test_the_share_of_same_numbers_must_be_reached(sim: float, merged: bool) -> None:
    rows = pages(0.0, 0.0, 3.0, 3.0)
    rows[LENGTH : LENGTH + LENGTH // 4] = 2.0  # a quarter of page 1 differs
    found = find_shared_pages(rows, LENGTH, 3, Alike(fp=0.01, sim=sim, width=1000.0))
    assert found.doublings == 0
    assert stands_for(found) == ([0, 0, 2, 3] if merged else [0, 1, 2, 2])


def test_the_most_alike_page_is_taken() -> None:
    rows = pages(0.0, 0.0, 0.5)
    rows[:3] = -1.0
    rows[LENGTH : LENGTH + 1] = -1.0
    rows[2 * LENGTH :] = 0.0
    rows[2 * LENGTH] = 0.5  # 7 of 8 rows are those of page 1, 5 of 8 those of page 0
    found = find_shared_pages(rows, LENGTH, 2, Alike(fp=0.01, sim=0.6, width=1000.0))
    assert stands_for(found) == [0, 0, 2], "page 1 comes before page 2"
    found = find_shared_pages(rows, LENGTH, 1, Alike(fp=0.01, sim=0.6, width=1000.0))
    assert stands_for(found) == [0, 0, 0]


def test_what_a_page_is_aliased_to_may_be_aliased_itself() -> None:
    """Steps of 0.9 fp: page 2 is alike page 1 alone, which page 0 stands for."""
    rows = pages(0.0, 0.9, 1.8, 100.0)
    found = find_shared_pages(rows, LENGTH, 2, Alike(fp=1.0, width=1000.0))
    assert found.doublings == 0
    assert stands_for(found) == [0, 0, 0, 3]


def test_only_pages_of_one_bucket_are_compared() -> None:
    rows = pages(0.0, 0.1, 0.2)
    assert find_shared_pages(rows, LENGTH, 1, Alike(fp=0.15, width=1000.0)).doublings == 0
    # buckets far narrower than the pages are apart: none meet until they are wide
    assert find_shared_pages(rows, LENGTH, 1, Alike(fp=0.15, width=1e-6, bands=4)).doublings > 0
    assert find_shared_pages(rows, LENGTH, 1, Alike(fp=0.15, width=1.0, bands=40, collisions=40)).doublings > 0


@pytest.mark.parametrize("kept", [1, 2, 5, 19, 20])
@pytest.mark.parametrize("short", [0, 3])
def test_the_number_is_always_reached(kept: int, short: int) -> None:
    rows = torch.cat([random_pages(20 - (short > 0)), torch.randn(short, DIM, generator=torch.Generator())])
    found = find_shared_pages(rows, LENGTH, kept, Alike(sim=1.0))
    assert len(found.kept) == kept
    assert len(found.map) == 20
    again = find_shared_pages(rows, LENGTH, kept, Alike(sim=1.0))
    assert torch.equal(found.map, again.map)


def test_a_short_page_may_be_shared_and_stands_for_none() -> None:
    """It is compared in what it has; the zeros that fill it up are no reason for anything."""
    rows = torch.cat([pages(0.0, 7.0, 7.0), torch.full((3, DIM), 7.0)])
    assert stands_for(find_shared_pages(rows, LENGTH, 2, EXACT)) == [0, 1, 1, 1]
    rows = torch.cat([pages(0.0, 5.0), torch.full((3, DIM), 0.0)])
    rows[3:LENGTH] = 1.0  # page 0 begins like the short one
    found = find_shared_pages(rows, LENGTH, 2, Alike(fp=1e-6, width=1000.0, sim=1.0))
    assert (stands_for(found), found.doublings) == ([0, 1, 0], 0)
    for kept in (1, 2):
        rows = torch.cat([random_pages(6), torch.zeros(1, DIM)])
        assert 6 not in find_shared_pages(rows, LENGTH, kept, EXACT).kept


def test_numbers_that_are_none_end_the_search() -> None:
    rows = random_pages(4)
    rows[3] = float("nan")
    assert len(find_shared_pages(rows, LENGTH, 2, EXACT).kept) == 2


def test_constant_tables_and_single_pages() -> None:
    assert stands_for(find_shared_pages(torch.zeros(30, DIM), LENGTH, 1, EXACT)) == [0, 0, 0, 0]
    found = find_shared_pages(random_pages(1)[:5], LENGTH, 1, EXACT)
    assert (found.kept.tolist(), found.map.tolist(), found.doublings) == ([0], [0], 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_pages_are_taken_with_zeros_behind_the_last_row(dtype: torch.dtype) -> None:
    rows = torch.arange(1, 11).to(dtype)
    assert take_pages(rows, torch.tensor([0, 2]), 4).tolist() == [1, 2, 3, 4, 9, 10, 0, 0]
    assert take_pages(rows, torch.tensor([1]), 4).tolist() == [5, 6, 7, 8]
    both = torch.stack([rows, rows], dim=1)
    assert take_pages(both, torch.tensor([2]), 4).tolist() == [[9, 9], [10, 10], [0, 0], [0, 0]]
    assert take_pages(rows, torch.tensor([0]), 30)[10:].any() == False  # noqa: E712  of uint8 any is uint8
