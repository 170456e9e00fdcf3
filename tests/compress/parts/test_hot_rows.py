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
from pocketrec.native.mix import bucket, mix
from pocketrec.native.sketch import (
    Inserted,
    empty_sketch,
    guaranteed_scores,
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


# ---------------------------------------------------------------- what a sketch with rows promises


@pytest.mark.parametrize("policy", [PAPER, PINNED, TOP_K], ids=["paper", "pinned", "top_k"])
@pytest.mark.parametrize("slots", [2, 4, 8])
@pytest.mark.parametrize("z", [1.05, 1.4])
def test_2_what_a_sketch_promises_while_rows_are_handed_out(policy: Admission, slots: int, z: float) -> None:
    """With promotion, eviction, decay and demotion; `plain` is a sketch of the same stream without any rows.

    A slot of 12 bytes has a row or an error. So who got a row by its whole score ("paper", "pinned") is not known to
    have had that much, now and after its demotion; who got it by what it surely had keeps that bound, and counts less.
    Where rows are not evicted, an id may be left out: neither presence nor a score that reaches the truth is promised.
    """
    buckets, ids, rows = 40, 3000, 60
    sketch, plain, free = empty_sketch(buckets, slots), empty_sketch(buckets, slots), all_rows_free(rows)
    keys, truth, draw = keys_of(torch.arange(ids)), torch.zeros(ids), torch.Generator().manual_seed(slots)
    ends, home = torch.arange(1, ids + 1, dtype=torch.float64).pow(-z).cumsum(0), bucket(keys, buckets)
    owners = torch.zeros(buckets * slots, dtype=torch.int32)  # the tag that last got a row in each slot
    demoted, unsure, forgot = 0, 0, 0
    for call in range(60):
        drawn = torch.searchsorted(ends, torch.rand(200, dtype=torch.float64, generator=draw) * ends[-1])
        scores = torch.randint(1, 9, (200,), generator=draw).float() / 4  # so that sums are exact
        found = sketch_insert(sketch, keys[drawn], scores, evict_hot=policy.evict_hot)
        sketch_insert(plain, keys[drawn], scores, evict_hot=True)
        truth.index_add_(0, drawn, scores)
        give_back(free, found.released[found.released >= 0])
        threshold = score_number(sketch, rows, guaranteed=True) if policy is TOP_K else 8.0
        if call % 12 == 11:
            for one in (sketch, plain):
                sketch_decay(one, 0.5)
            truth /= 2
            rows_back = demote_below(sketch, threshold if policy is not TOP_K else threshold / 2)
            give_back(free, rows_back)
            demoted += len(rows_back)
        chosen = promotions(sketch, found, policy, threshold=threshold, most=int(free[0]))
        promote(sketch, found.slots[chosen], take(free, len(chosen)), policy)
        owners[found.slots[chosen]] = sketch.view(-1, 3)[found.slots[chosen], 0]

        mass, slot = torch.zeros(buckets).index_add_(0, home, truth), sketch_find(sketch, keys)
        held = slot >= 0
        own, stored = truth[held], sketch_scores(sketch).view(-1)[slot[held]]
        surely = guaranteed_scores(sketch).view(-1)[slot[held]]
        had_row = (owners == sketch.view(-1, 3)[:, 0])[slot[held]]
        assert bool((surely <= own)[~had_row].all())
        assert not sketch_errors(sketch)[is_hot(sketch)].any(), "a slot with a row has no room for it"
        unsure += int((surely > own)[had_row].sum())
        forgot += int((sketch_errors(plain)[is_hot(sketch)] > 0).sum())
        if policy is PAPER:
            assert torch.equal(sketch[..., 0], plain[..., 0]), "rows change nothing about who is there"
            assert torch.equal(sketch_scores(sketch), sketch_scores(plain))
            assert torch.equal(sketch_scores(sketch).sum(dim=1), mass)
            assert bool(held[truth > mass[home] / slots].all())
            assert bool((stored >= own).all())
        if policy is TOP_K:
            assert bool((guaranteed_scores(sketch).sum(dim=1) <= mass).all())
    assert demoted > 10
    assert forgot > 20
    assert (unsure == 0) == (policy is TOP_K)


@pytest.mark.parametrize("policy", [PAPER, PINNED, TOP_K], ids=["paper", "pinned", "top_k"])
def test_2_a_bucket_of_pinned_rows_is_closed_to_whoever_comes(policy: Admission) -> None:
    """An id with more than 1 / slots of its bucket's mass is never absent, but where hot slots are pinned."""
    sketch, free = empty_sketch(1, 2), all_rows_free(4)
    found = insert(sketch, [1, 2], [2.0, 2.0])
    promote(sketch, found.slots, take(free, 2), policy)
    found = insert(sketch, [3], [100.0], evict_hot=policy.evict_hot)
    assert (found.slots.tolist() == [-1]) == (policy is not PAPER)
    assert float(sketch_scores(sketch).sum()) == (104.0 if policy is PAPER else 4.0)


def all_rows_free(rows: int) -> Tensor:
    free = torch.zeros(rows + 1, dtype=torch.int32)
    all_free(free)
    return free


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


# What a simulation by others found at z 1.1 with 10,000 rows, by slots: recorded recall, and hot recall by rule.
RECORDED = {4: 0.910, 8: 0.946, 16: 0.967, 32: 0.976}
HOT = {
    4: {"pinned": 0.755, "guaranteed": 0.656, "top_k": 0.882},
    8: {"pinned": 0.765, "guaranteed": 0.727, "top_k": 0.917},
}


@pytest.mark.slow
def test_3_recall_is_what_others_found_at_their_size(recall: Any) -> None:
    """1,000,000 ids, 20,000,000 unit inserts, in large batches to save time: with 256 recalls are the same to .005.

    Not held, because more than .02 lies between ours and theirs:

    * hot recall of "paper" (.762 against .683, and so at every size): rows move at every insert there, after each batch
      here. The same rule insert by insert, in a program that is not kept, had .678 and .681.
    * "guaranteed" and "top_k" at z 1.3 (.793 against .821, .904 against .932). Neither hysteresis nor looks change it,
      and insert by insert the definition has .794 and .908.
    * 1,000 rows: "top_k" finds more (.799 against .749 at z 1.05, .823 against .787 at z 1.1); recorded recall at z 1.1
      is .824 to .859, as the hashes fall, against .848.
    """
    shares = recall.shares_of(1.1, 1_000_000)
    drawn = recall.stream(shares, 20_000_000, seed=7)

    def found(rule: str, slots: int) -> Any:
        return recall.simulate(drawn, shares, rule, rows=10_000, slots=slots, batch=8192, every=25)

    for slots, recorded in RECORDED.items():  # measured .900, .938, .959, .969
        assert found("paper", slots).recorded == pytest.approx(recorded, abs=0.02)
    for slots, rules in HOT.items():  # measured .756, .638, .878 and .767, .717, .902
        for rule, hot in rules.items():
            assert found(rule, slots).hot == pytest.approx(hot, abs=0.02), f"{rule}, {slots} slots"


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
