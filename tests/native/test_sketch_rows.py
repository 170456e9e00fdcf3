from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pocketrec.native.binding import use_backend
from pocketrec.native.mix import mix
from pocketrec.native.sketch import (
    empty_sketch,
    guaranteed_scores,
    is_hot,
    set_medium,
    sketch_decay,
    sketch_insert,
    sketch_scores,
)
from pocketrec.native.sketch_rows import demote_below, due, score_number


def sketch_of(buckets: int, slots: int, *, seed: int, scale: float = 1.0) -> Tensor:
    """A sketch with errors, hot keys, medium ones and, where it is small for them, free slots."""
    draw = torch.Generator().manual_seed(seed)
    sketch = empty_sketch(buckets, slots)
    for _ in range(3):
        keys = mix(torch.randint(3 * buckets * slots, (buckets * slots,), generator=draw), 0)
        sketch_insert(sketch, keys, torch.rand(len(keys), generator=draw) * scale, evict_hot=False)
    known = (sketch[..., 0] != 0).view(-1).nonzero().squeeze(1)
    sketch.view(-1, 3)[known[::3], 2] = torch.arange(len(known[::3]), dtype=torch.int32)
    set_medium(sketch, known[1::3])
    return sketch


@pytest.mark.parametrize("guaranteed", [False, True])
@pytest.mark.parametrize(("buckets", "slots", "scale"), [(1, 1, 1.0), (3, 5, 1e-30), (500, 4, 1.0), (900, 8, 1e6)])
def test_the_score_of_a_number(backend: str, guaranteed: bool, buckets: int, slots: int, scale: float) -> None:
    sketch = sketch_of(buckets, slots, seed=slots, scale=scale)
    scores = (guaranteed_scores(sketch) if guaranteed else sketch_scores(sketch)).reshape(-1)
    order = scores.sort(descending=True).values.tolist()
    for number in {1, 2, 3, len(order) // 3, len(order) - 1, len(order)} & set(range(1, len(order) + 1)):
        assert score_number(sketch, number, guaranteed=guaranteed) == order[number - 1]
    assert score_number(sketch, len(order) + 1, guaranteed=guaranteed) == 0.0
    with pytest.raises(ValueError, match="counted from 1, got 0"):
        score_number(sketch, 0, guaranteed=guaranteed)


def test_equal_scores_have_a_number_each(backend: str) -> None:
    sketch = empty_sketch(1, 6)
    sketch_insert(sketch, mix(torch.arange(5), 0), torch.tensor([1.0, 2, 2, 2, 3]), evict_hot=False)
    assert [score_number(sketch, n, guaranteed=True) for n in range(1, 8)] == [3, 2, 2, 2, 1, 0, 0]


def test_who_has_less_loses_its_row(backend: str) -> None:
    sketch = empty_sketch(1, 5)
    found = sketch_insert(sketch, mix(torch.arange(4), 0), torch.tensor([1.0, 2, 3, 1]), evict_hot=False)
    sketch.view(-1, 3)[found.slots[:3], 2] = torch.tensor([4, 2, 0], dtype=torch.int32)
    assert demote_below(sketch, 1.0).tolist() == []
    assert demote_below(sketch, 2.0).tolist() == [4]
    assert demote_below(sketch, math.inf).tolist() == [2, 0], "in the order of their slots"
    assert not is_hot(sketch).any()
    assert sketch_scores(sketch).tolist() == guaranteed_scores(sketch).tolist() == [[1.0, 2.0, 3.0, 1.0, 0.0]]


def test_who_is_due(backend: str) -> None:
    sketch = empty_sketch(1, 6)
    found = sketch_insert(sketch, mix(torch.arange(5), 0), torch.tensor([1.0, 2, 3, 4, 0]), evict_hot=False)
    sketch[0, 1, 2] = 7
    slots = torch.tensor([-1, 3, 0, 1, 3, 2, 4])
    every = {"least": 0.0, "most": 9, "guaranteed": True}
    assert due(sketch, slots, None, **every).tolist() == [1, 2, 5], "the first of a slot; no row, and a score"
    assert due(sketch, slots, None, **every | {"most": 2}).tolist() == [1, 2]
    assert due(sketch, slots, None, **every | {"least": 3.0}).tolist() == [1, 5]
    hits = torch.tensor([True, False, True, True, True, False, True])
    assert due(sketch, slots, hits, **every).tolist() == [2, 4]
    assert due(sketch, found.slots[:0], None, **every).tolist() == []


@pytest.mark.parametrize("guaranteed", [False, True])
@pytest.mark.parametrize(("buckets", "slots"), [(1, 1), (7, 3), (50, 4), (400, 8)])
def test_backends_agree_to_the_last_bit(compiled: None, guaranteed: bool, buckets: int, slots: int) -> None:
    draw = torch.Generator().manual_seed(buckets)
    for seed in range(3):
        found = []
        ours = sketch_of(buckets, slots, seed=seed)
        asked = torch.randint(-1, buckets * slots, (300,), generator=draw)
        hits = torch.rand(300, generator=draw) < 0.7
        theirs = ours.clone()
        for backend, sketch in (("compiled", ours), ("reference", theirs)):
            with use_backend(backend):  # type: ignore[arg-type]
                sketch_decay(sketch, 0.9)
                least = score_number(sketch, 1 + buckets * slots // 4, guaranteed=guaranteed)
                chosen = due(
                    sketch, asked, hits if seed else None, least=least * 1.1, most=9**seed, guaranteed=guaranteed
                )
                found.append((least, chosen, demote_below(sketch, least)))
        assert found[0][0] == found[1][0]
        assert torch.equal(found[0][1], found[1][1])
        assert torch.equal(found[0][2], found[1][2])
        assert torch.equal(ours, theirs)


def test_what_does_not_fit_is_refused(backend: str) -> None:
    sketch, slots = empty_sketch(4, 2), torch.tensor([0])
    with pytest.raises(TypeError, match="sketch must be int32"):
        score_number(sketch.float(), 1, guaranteed=True)
    with pytest.raises(TypeError, match="sketch must be int32"):
        demote_below(sketch.float(), 1.0)
    with pytest.raises(TypeError, match="sketch must be int32"):
        due(sketch.float(), slots, None, least=1.0, most=1, guaranteed=True)
    with pytest.raises((IndexError, ValueError), match=r"out of|lie below 8"):
        due(sketch, torch.tensor([8]), None, least=1.0, most=1, guaranteed=True)
