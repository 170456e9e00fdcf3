from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pocketrec.native import Kind, addresses, program_row
from pocketrec.native.mix import mix, tag
from pocketrec.native.sketch import empty_sketch, is_hot, is_medium, set_medium, sketch_find, sketch_insert
from pocketrec.native.tagged import tagged_entries, tagged_maps


def trained(buckets: int, slots: int, rows: int, ids: int = 4000, seed: int = 3) -> Tensor:
    """A sketch in which `rows` keys own rows, in no order."""
    draw = torch.Generator().manual_seed(buckets)
    sketch = empty_sketch(buckets, slots)
    sketch_insert(sketch, mix(torch.arange(ids), seed), torch.rand(ids, generator=draw) + 0.1, evict_hot=False)
    held = (sketch[..., 0] != 0).view(-1).nonzero().squeeze(1)
    chosen = held[torch.randperm(len(held), generator=draw)[:rows]]
    sketch.view(-1, 3)[chosen, 2] = torch.randperm(rows, generator=draw).int()
    return sketch


def found(kind: Kind, ids: Tensor, maps: Tensor, **columns: int) -> Tensor:
    row = program_row(kind=kind, seed=3, **columns)
    return addresses(ids[:, None], torch.tensor([row]), maps=maps)[:, 0]


@pytest.mark.parametrize(
    ("buckets", "slots", "rows", "frozen"),
    [(200, 4, 200, 100), (100, 8, 200, 100), (99, 4, 100, 33), (64, 4, 0, 1), (500, 1, 300, 250), (40, 32, 200, 40)],
)
def test_it_finds_what_the_sketch_found(backend: str, buckets: int, slots: int, rows: int, frozen: int) -> None:
    """Row by row for hot ids, nothing for all others; room for more rows than there are changes nothing."""
    sketch, ids = trained(buckets, slots, rows), torch.arange(50_000)
    before = found(Kind.SKETCHED, ids, sketch.view(-1), size=buckets, a=slots)
    maps, order = tagged_maps(sketch, buckets=frozen, rows=rows + 5)
    assert maps.dtype is torch.int32
    assert maps.shape == (tagged_entries(frozen, rows + 5),)
    assert sorted(order.tolist()) == list(range(rows))
    after = found(Kind.TAGGED, ids, maps, size=frozen, n=rows + 5)
    assert torch.equal(torch.where(after >= 0, torch.cat([order, order.new_zeros(6)])[after], -1), before)
    assert int((after >= 0).sum()) == rows


def test_other_keys_may_be_chosen(backend: str) -> None:
    """Those that own no row, as medium ids are; they share rows that are drawn by their tags."""
    sketch, ids = trained(50, 4, 20), torch.arange(4000)
    cold = (~is_hot(sketch) & (sketch[..., 0] != 0)).view(-1).nonzero().squeeze(1)
    set_medium(sketch, cold[::2])
    rows, medium = len(cold), is_medium(sketch)
    hot, _ = tagged_maps(sketch, buckets=25, rows=20)
    others, _ = tagged_maps(sketch, buckets=25, rows=rows, chosen=medium)
    assert int((others[26:] != 0).sum()) == int(medium.sum()) == len(cold[::2])
    before = found(Kind.SKETCHED, ids, sketch.view(-1), size=50, a=4, q=20, u=7)
    after = found(Kind.TAGGED, ids, torch.cat([hot, others]), size=25, n=20, q=20, r=46, s=rows, u=7)
    slot = sketch_find(sketch, mix(ids, 3))
    is_one = medium.view(-1)[slot.clamp(min=0)] & (slot >= 0)
    expected = 20 + ((tag(mix(ids, 3)) & 0xFFFFFFFF) * 7 >> 32)
    assert torch.equal(before[is_one], expected[is_one])
    assert torch.equal(after[is_one], before[is_one])
    assert torch.equal(after >= 0, before >= 0)
    assert len(before[is_one].unique()) == 7
    without = found(Kind.SKETCHED, ids, sketch.view(-1), size=50, a=4)
    assert torch.equal(without, torch.where(is_one, -1, before))


def test_six_bytes_a_row() -> None:
    maps, _ = tagged_maps(trained(200, 4, 200), buckets=100, rows=200)
    assert maps.nbytes == 6 * 200 + 4


def test_of_two_equal_tags_the_higher_score_is_found(backend: str) -> None:
    """They were told apart by their buckets, which became one."""
    sketch = trained(200, 4, 0)
    ids = torch.arange(4000)
    slot = sketch_find(sketch, mix(ids, 3))
    low, high = (int((slot // 4 == home).nonzero()[0]) for home in (12, 13))
    words = sketch.view(-1, 3)
    words[slot[high], 0] = words[slot[low], 0]
    words[slot[low], 1:] = torch.tensor([torch.tensor(1.0).view(torch.int32), 0])
    for score, expected in ((0.5, 0), (2.0, 1)):
        words[slot[high], 1:] = torch.tensor([torch.tensor(score).view(torch.int32), 1])
        maps, order = tagged_maps(sketch, buckets=100, rows=2)
        address = found(Kind.TAGGED, torch.tensor([low]), maps, size=100, n=2)
        assert order[address].tolist() == [expected]


def test_what_does_not_fit_is_refused() -> None:
    sketch = trained(60, 4, 100)
    with pytest.raises(ValueError, match="60 buckets of a sketch must be a multiple of the frozen ones, got 7"):
        tagged_maps(sketch, buckets=7, rows=100)
    with pytest.raises(ValueError, match="got 0"):
        tagged_maps(sketch, buckets=0, rows=100)
    with pytest.raises(ValueError, match="100 hot keys do not fit 99 rows"):
        tagged_maps(sketch, buckets=30, rows=99)
    with pytest.raises(ValueError, match="a bucket would have 100 tags, the most is 32"):
        tagged_maps(sketch, buckets=1, rows=100)
    with pytest.raises(TypeError, match="sketch must be int32"):
        tagged_maps(sketch.view(-1), buckets=1, rows=100)
