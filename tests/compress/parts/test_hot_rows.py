from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec.compress.parts.hot_rows import (
    PAPER,
    PINNED,
    TOP_K,
    Admission,
    ImplicitDecay,
    all_free,
    give_back,
    medium_slots,
    promote,
    promotions,
    take,
)
from pocketrec.native.mix import mix
from pocketrec.native.sketch import (
    Inserted,
    empty_sketch,
    is_hot,
    sketch_decay,
    sketch_errors,
    sketch_find,
    sketch_insert,
    sketch_scores,
)
from pocketrec.native.sketch_rows import demote_below, score_number
from pocketrec.spec.errors import OptionError

EXPERIMENTS = Path(__file__).resolve().parents[3] / "experiments"


def keys_of(ids: Any) -> Tensor:
    return mix(torch.as_tensor(ids, dtype=torch.int64), 0)


def insert(sketch: Tensor, ids: list[int], scores: list[float], evict_hot: bool = False) -> Inserted:
    return sketch_insert(sketch, keys_of(ids), torch.tensor(scores), evict_hot=evict_hot)


def promoted(sketch: Tensor, found: Inserted, admission: Admission, **options: Any) -> list[int]:
    return promotions(sketch, found, admission, **({"threshold": 2.0, "most": 9} | options)).tolist()


# ---------------------------------------------------------------- promotion


def test_who_reaches_the_threshold_is_promoted_once() -> None:
    sketch = empty_sketch(1, 4)
    found = insert(sketch, [1, 2, 3, 1, 2, 4], [1.0, 1.5, 2.0, 0.5, 0.5, 1.0])
    assert promoted(sketch, found, PAPER) == [1, 2], "the first value of each, in their order"
    assert promoted(sketch, found, PAPER, most=1) == [1]
    assert promoted(sketch, found, PAPER, most=0) == []
    assert promoted(sketch, found, PAPER, hysteresis=0.1) == []
    assert promoted(sketch, found, PINNED) == [], "nobody was there before"
    again = insert(sketch, [5, 2, 1], [9.0, 0.1, 0.1])
    assert promoted(sketch, again, PINNED) == [1], "5 has the score, but is new; 1 has not"
    promote(sketch, again.slots[1:2], torch.tensor([7], dtype=torch.int32), PINNED)
    assert promoted(sketch, insert(sketch, [2], [1.0]), PINNED) == [], "it owns a row"


def test_nothing_is_promoted_for_nothing() -> None:
    """A threshold of 0, as long as there are fewer keys than rows, promotes whoever has a score."""
    sketch = empty_sketch(1, 2)
    assert promoted(sketch, insert(sketch, [1, 2], [0.0, 1e-9]), TOP_K, threshold=0.0) == [1]
    assert promoted(sketch, insert(sketch, [3, 4, 5], [1.0] * 3), TOP_K, threshold=0.0) == [0, 2], "4 lost its slot"
    assert promoted(sketch, insert(sketch, [], []), TOP_K) == []


def test_guaranteed_scores_are_less_their_errors() -> None:
    sketch = empty_sketch(1, 1)
    insert(sketch, [1], [5.0])
    found = insert(sketch, [2], [1.5])
    assert promoted(sketch, found, PAPER) == [0]
    assert promoted(sketch, found, TOP_K) == []
    found = insert(sketch, [2], [0.75])
    assert promoted(sketch, found, TOP_K) == [0]
    other = sketch.clone()
    promote(sketch, found.slots, torch.tensor([3], dtype=torch.int32), TOP_K)
    assert (float(sketch_scores(sketch)), int(sketch[0, 0, 2])) == (2.25, 3)
    promote(other, found.slots, torch.tensor([3], dtype=torch.int32), PAPER)
    assert float(sketch_scores(other)) == 7.25
    assert demote_below(sketch, 2.5).tolist() == [3]
    assert (float(sketch_scores(sketch)), float(sketch_errors(sketch)), is_hot(sketch).any()) == (2.25, 0.0, False)


def test_medium_are_those_after_the_hot_ones() -> None:
    sketch = empty_sketch(1, 8)
    found = insert(sketch, [1, 2, 3, 4, 5, 6], [6.0, 5.0, 4.0, 3.0, 2.0, 1.0])
    assert medium_slots(sketch, 2, 2, guaranteed=False).tolist() == [0, 1], "at most so many, while nobody is hot"
    promote(sketch, found.slots[:2], torch.tensor([1, 0], dtype=torch.int32), PAPER)
    assert medium_slots(sketch, 2, 2, guaranteed=False).tolist() == [2, 3]
    assert medium_slots(sketch, 2, 9, guaranteed=False).tolist() == [2, 3, 4, 5], "all where there are fewer"
    insert(sketch, [7, 8], [0.5, 0.25])
    insert(sketch, [9], [2.0])  # takes the slot of the least one, with its score
    assert medium_slots(sketch, 2, 4, guaranteed=True).tolist() == [2, 3, 4, 7]
    assert medium_slots(sketch, 2, 3, guaranteed=False).tolist() == [2, 3, 7]


def test_free_rows_are_a_stack() -> None:
    free = torch.zeros(6, dtype=torch.int32)
    all_free(free)
    assert take(free, 2).tolist() == [0, 1]
    assert take(free, 0).tolist() == []
    give_back(free, torch.tensor([0], dtype=torch.int32))
    assert int(free[0]) == 4
    assert take(free, 4).tolist() == [0, 2, 3, 4]
    with pytest.raises(AssertionError, match="1 rows are asked for, 0 are free"):
        take(free, 1)


@pytest.mark.parametrize("rule", ["paper", "pinned", "guaranteed", "top_k"])
def test_rows_are_owned_or_free(rule: str) -> None:
    """After each step of a stream whose popular ids change: no row has two owners, none is lost."""
    admission = {"paper": PAPER, "pinned": PINNED}.get(rule, TOP_K)
    sketch, free, moved = empty_sketch(20, 4), torch.zeros(31, dtype=torch.int32), 0
    all_free(free)
    for step in range(120):
        draw = torch.Generator().manual_seed(step)
        ids = (torch.rand(60, generator=draw) ** 3 * 300).long() + 50 * (step // 30)
        found = sketch_insert(sketch, keys_of(ids), torch.rand(60, generator=draw), evict_hot=admission.evict_hot)
        give_back(free, found.released[found.released >= 0])
        threshold = score_number(sketch, 30, guaranteed=True) if rule == "top_k" else 3.0
        if step % 5 == 4:
            sketch_decay(sketch, 0.9)
            give_back(free, demote_below(sketch, threshold))
        chosen = promotions(sketch, found, admission, threshold=threshold, most=int(free[0]))
        promote(sketch, found.slots[chosen], take(free, len(chosen)), admission)
        moved += len(chosen)
        owned = sketch[..., 2][is_hot(sketch)].tolist()
        assert sorted(owned + free[1 : 1 + int(free[0])].tolist()) == list(range(30))
    assert moved > 30, "rows were given again"


# ---------------------------------------------------------------- decay


@pytest.mark.parametrize(("rate", "most"), [(0.9, 30.0), (0.98, 1e4), (0.3, 2.0)])
def test_implicit_decay_is_explicit_decay(rate: float, most: float) -> None:
    """The same scores, errors and thresholds, step by step, across several renormalisations."""
    decay = ImplicitDecay(rate, most)
    explicit, implicit = empty_sketch(2, 3), empty_sketch(2, 3)
    steps = 3 * decay.period + 2
    assert steps < 2000
    for step in range(steps):
        draw = torch.Generator().manual_seed(step)
        keys, scores = keys_of(torch.randint(9, (5,), generator=draw)), torch.rand(5, generator=draw) + 0.1
        if step:
            sketch_decay(explicit, rate)
        sketch_insert(explicit, keys, scores, evict_hot=False)
        decay.renormalise(implicit, step)
        factor = decay.factor(step)
        assert 1 <= factor <= most
        sketch_insert(implicit, keys, scores * factor, evict_hot=False)
        assert torch.equal(explicit[..., 0], implicit[..., 0]), "the same keys stand in the same slots"
        torch.testing.assert_close(sketch_scores(implicit) / factor, sketch_scores(explicit), rtol=1e-5, atol=0)
        torch.testing.assert_close(sketch_errors(implicit) / factor, sketch_errors(explicit), rtol=1e-5, atol=0)


def test_no_decay_is_none() -> None:
    sketch = empty_sketch(1, 1)
    insert(sketch, [1], [3.0])
    decay = ImplicitDecay(1.0)
    for step in (0, 1, 10**12):
        decay.renormalise(sketch, step)
        assert decay.factor(step) == 1.0
    assert float(sketch_scores(sketch)) == 3.0


def test_the_published_rate_renormalises_rarely() -> None:
    decay = ImplicitDecay(1 - 5e-7)
    assert decay.period == pytest.approx(math.log(1e4) / 5e-7, rel=1e-4)
    assert decay.factor(decay.period - 1) == pytest.approx(1e4, rel=1e-3)
    assert decay.factor(decay.period) == 1.0


@pytest.mark.parametrize(("rate", "most"), [(0.0, 10.0), (1.1, 10.0), (math.nan, 10.0), (0.9, 1.0)])
def test_rates_that_are_none_are_refused(rate: float, most: float) -> None:
    with pytest.raises(OptionError, match="ImplicitDecay: rate must lie in"):
        ImplicitDecay(rate, most)


# ---------------------------------------------------------------- what is found


@pytest.fixture
def recall(monkeypatch: pytest.MonkeyPatch) -> Any:
    """experiments/sketch_recall.py."""
    monkeypatch.syspath_prepend(str(EXPERIMENTS))
    return importlib.import_module("sketch_recall")


@pytest.mark.slow
def test_rules_find_the_frequent_ids_in_their_order(recall: Any) -> None:
    """experiments/sketch_recall.py at a fiftieth of its size: most rows go to the right ids under the last rule, and
    only under the first do they move all the time."""
    shares = recall.shares_of(1.1, 100_000)
    drawn = recall.stream(shares, 400_000, seed=0)
    found = {
        rule: recall.simulate(drawn, shares, rule, rows=500, slots=4, batch=200, every=100) for rule in recall.RULES
    }
    expected = {"paper": (0.874, 0.712), "pinned": (0.958, 0.776), "guaranteed": (0.876, 0.614), "top_k": (0.94, 0.872)}
    for rule, (recorded, hot) in expected.items():
        assert found[rule].recorded == pytest.approx(recorded, abs=0.02)
        assert found[rule].hot == pytest.approx(hot, abs=0.02)
    assert found["pinned"].moves == 499, "first come, first served, and nothing moved them"
    assert found["top_k"].moves < 800 < 10 * 800 < found["paper"].moves


def test_the_hot_follow_what_becomes_popular(recall: Any) -> None:
    """Popularity is permuted half way: with decay, most of the new most frequent ids soon own a row."""
    shares, rows = recall.shares_of(1.2, 20_000), 100
    sketch, free = empty_sketch(rows, 4), torch.zeros(rows + 1, dtype=torch.int32)
    all_free(free)
    share_of_hot = []
    for step in range(400):
        ids = recall.stream(shares, 500, seed=step) + 30_000 * (step >= 200)
        found = insert_units(sketch, ids)
        if step % 5 == 4:
            sketch_decay(sketch, 0.9)
            threshold = score_number(sketch, rows, guaranteed=True)
            give_back(free, demote_below(sketch, threshold))
            chosen = promotions(sketch, found, TOP_K, threshold=threshold, most=int(free[0]), hysteresis=0.1)
            promote(sketch, found.slots[chosen], take(free, len(chosen)), TOP_K)
        if step in (199, 399):
            slot = sketch_find(sketch, keys_of(torch.arange(rows) + 30_000 * (step >= 200)))
            hot = is_hot(sketch).view(-1)[slot.clamp(min=0)] & (slot >= 0)
            share_of_hot.append(float(hot.double().mean()))
    before, after = share_of_hot
    assert before > 0.5
    assert after >= 0.8 * before


def insert_units(sketch: Tensor, ids: Tensor) -> Inserted:
    return sketch_insert(sketch, keys_of(ids), torch.ones(len(ids)), evict_hot=False)
