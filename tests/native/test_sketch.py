from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec.native import Kind, addresses, binding, program_row
from pocketrec.native.binding import use_backend
from pocketrec.native.mix import bucket, mix, tag
from pocketrec.native.sketch import (
    NO_ERROR,
    Inserted,
    empty_sketch,
    guaranteed_scores,
    is_hot,
    is_medium,
    set_medium,
    sketch_decay,
    sketch_errors,
    sketch_find,
    sketch_insert,
    sketch_scores,
)

LARGEST = torch.finfo(torch.float32).max


def keys_of(ids: Any, seed: int = 0) -> Tensor:
    return mix(torch.as_tensor(ids), seed)


def zipf(z: float, ids: int, count: int, seed: int) -> Tensor:
    """Draws of ids 0, 1, ... with chances as (id + 1)^-z."""
    ends = torch.arange(1, ids + 1, dtype=torch.float64).pow(-z).cumsum(0)
    draw = torch.rand(count, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return torch.searchsorted(ends, draw * ends[-1]).clamp(max=ids - 1)


def streams(calls: int, most: int, ids: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Calls of 0 to `most` keys with duplicates and scores that are quarters, so that sums are exact."""
    draw = torch.Generator().manual_seed(seed)
    for _ in range(calls):
        count = int(torch.randint(most + 1, (1,), generator=draw))
        scores = torch.randint(12, (count,), generator=draw).float() / 4
        yield (
            keys_of(torch.randint(ids, (count,), generator=draw) * torch.randint(1, 9, (count,), generator=draw)),
            scores,
        )


def promote(sketch: Tensor, slot: int, row: int) -> None:
    sketch.view(-1, 3)[slot, 2] = row


class Replay:
    """The definition once more, with a dict per bucket, one key at a time."""

    def __init__(self, buckets: int, slots: int) -> None:
        self.slots = slots
        self.held: list[dict[int, dict[str, Any]]] = [{} for _ in range(buckets)]  # tag -> slot, score, error, row

    def insert(self, key: Tensor, score: float, evict_hot: bool) -> tuple[int, bool, int]:
        home = int(bucket(key, len(self.held)))
        held, own = self.held[home], int(tag(key))
        if own in held:
            held[own]["score"] += score
            return home * self.slots + held[own]["slot"], True, -1
        if not score:
            return -1, False, -1
        if len(held) < self.slots:
            held[own] = {"slot": len(held), "score": score, "error": 0.0, "row": -1}
            return home * self.slots + held[own]["slot"], False, -1
        may = [(one["score"], one["slot"], who) for who, one in held.items() if evict_hot or one["row"] < 0]
        if not may:
            return -1, False, -1
        least, slot, who = min(may)
        released = held.pop(who)["row"]
        held[own] = {"slot": slot, "score": least + score, "error": least, "row": -1}
        return home * self.slots + slot, False, released

    def words(self) -> list[list[list[float]]]:
        """score, error (nan where there is a row), row per slot."""
        out = [[[0.0, 0.0, 0, -1] for _ in range(self.slots)] for _ in self.held]
        for home, held in enumerate(self.held):
            for who, one in held.items():
                out[home][one["slot"]] = [one["score"], 0.0 if one["row"] >= 0 else one["error"], who, one["row"]]
        return out


def words_of(sketch: Tensor) -> list[list[list[float]]]:
    rows = torch.where(is_hot(sketch), sketch[..., 2], -1)
    parts = sketch_scores(sketch), sketch_errors(sketch), sketch[..., 0], rows
    return torch.stack([part.double() for part in parts], dim=2).tolist()


# ---------------------------------------------------------------- insertion


@pytest.mark.parametrize("evict_hot", [False, True])
@pytest.mark.parametrize(("buckets", "slots", "most"), [(1, 1, 1), (1, 4, 1), (1, 4, 20), (3, 2, 40), (8, 4, 60)])
def test_it_is_the_definition(backend: str, evict_hot: bool, buckets: int, slots: int, most: int) -> None:
    """All three cases, key by key and in calls with duplicates, with rows handed out in between."""
    sketch, replay = empty_sketch(buckets, slots), Replay(buckets, slots)
    outcomes, row = set(), 0
    for keys, scores in streams(150, most, 6 * buckets * slots, seed=buckets + slots):
        found = sketch_insert(sketch, keys, scores, evict_hot=evict_hot)
        first: dict[int, int] = {}
        for i, key in enumerate(keys.tolist()):
            first.setdefault(key, i)
        done = {key: replay.insert(keys[i], float(scores[keys == key].sum()), evict_hot) for key, i in first.items()}
        assert found.values.tolist() == list(first.values())
        for i, (key, value) in enumerate(first.items()):
            slot, hit, released = done[key]
            stands = slot >= 0 and int(tag(keys[value])) in replay.held[slot // slots]
            assert int(found.slots[i]) == (slot if stands else -1)
            assert bool(found.hits[i]) == hit
            assert int(found.released[i]) == released
            outcomes.add((hit, slot >= 0, released >= 0))
        assert words_of(sketch) == replay.words()
        for slot in found.slots[:2].tolist():  # who comes first gets a row
            home = replay.held[slot // slots]
            for one in home.values():
                if slot >= 0 and one["slot"] == slot % slots and one["row"] < 0:
                    one["row"] = row
                    promote(sketch, slot, row)
                    row += 1
    assert {(True, True, False), (False, True, False)} < outcomes
    assert ((False, True, True) in outcomes) == evict_hot, "rows were released"
    assert evict_hot or (False, False, False) in outcomes, "keys were left out"


@pytest.mark.parametrize("evict_hot", [False, True])
@pytest.mark.parametrize(("buckets", "slots"), [(1, 1), (1, 32), (7, 3), (50, 4), (400, 8)])
def test_backends_agree_to_the_last_bit(compiled: None, evict_hot: bool, buckets: int, slots: int) -> None:
    draw = torch.Generator().manual_seed(slots)
    ours, theirs = empty_sketch(buckets, slots), empty_sketch(buckets, slots)
    for call, count in enumerate([0, 1, 2, 17, 500, 500, 3000, 40]):
        keys = keys_of(zipf(1.05, 4 * buckets * slots, count, seed=call), seed=-1)
        scores = torch.rand(count, generator=draw) * torch.rand(count, generator=draw).round()
        with use_backend("compiled"):
            found = sketch_insert(ours, keys, scores, evict_hot=evict_hot)
        with use_backend("reference"):
            expected = sketch_insert(theirs, keys, scores, evict_hot=evict_hot)
        assert torch.equal(ours, theirs)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
        cold = (~is_hot(ours) & (ours[..., 0] != 0)).view(-1).nonzero().squeeze(1)
        for sketch in (ours, theirs):
            sketch.view(-1, 3)[cold[::3], 2] = torch.arange(len(cold[::3]), dtype=torch.int32) + 1000 * call
            set_medium(sketch, cold[1::3])


def test_who_is_medium_stays_so_until_it_loses_its_slot(backend: str) -> None:
    sketch = empty_sketch(1, 3)
    sketch_insert(sketch, keys_of([1, 2, 3]), torch.tensor([1.0, 2, 3]), evict_hot=False)
    set_medium(sketch, torch.tensor([0, 1]))
    assert is_medium(sketch).tolist() == [[True, True, False]]
    assert sketch_scores(sketch).tolist() == [[1.0, 2.0, 3.0]]
    found = sketch_insert(sketch, keys_of([2]), torch.tensor([4.0]), evict_hot=False)
    assert found.hits.tolist() == [True]
    sketch_insert(sketch, keys_of([9]), torch.tensor([0.5]), evict_hot=False)
    assert sketch_scores(sketch).tolist() == [[1.5, 6.0, 3.0]]
    assert sketch_errors(sketch).tolist() == [[1.0, 0.0, 0.0]], "the least counts by its size"
    assert is_medium(sketch).tolist() == [[False, True, False]]
    sketch_decay(sketch, 0.5)
    assert (sketch_scores(sketch).tolist(), is_medium(sketch).tolist()) == ([[0.75, 3.0, 1.5]], [[False, True, False]])
    promote(sketch, 1, 4)
    assert not is_medium(sketch).any(), "who owns a row is not"
    set_medium(sketch, torch.tensor([2]))
    assert is_medium(sketch).tolist() == [[False, False, True]]
    assert sketch_scores(sketch).tolist() == [[0.75, 3.0, 1.5]]


def test_equal_keys_count_once(backend: str) -> None:
    """A call with duplicates is a call of its distinct keys with their sums."""
    keys, scores = keys_of([5, 6, 5, 7, 5]), torch.tensor([1.0, 2, 3, 4, 5])
    sketch, other = empty_sketch(1, 2), empty_sketch(1, 2)
    for one in (sketch, other):
        sketch_insert(one, keys_of([1, 2]), torch.ones(2), evict_hot=True)
        promote(one, 0, 70)
        promote(one, 1, 71)
    found = sketch_insert(sketch, keys, scores, evict_hot=True)
    sketch_insert(other, keys_of([5, 6, 7]), torch.tensor([9.0, 2, 4]), evict_hot=True)
    assert torch.equal(sketch, other)
    assert found.values.tolist() == [0, 1, 3]
    assert found.released.tolist() == [70, 71, -1]
    assert found.slots.tolist() == [0, -1, 1], "6 lost its slot to 7"
    assert not found.hits.any()


def test_sums_are_those_of_float64(backend: str) -> None:
    sketch = empty_sketch(1, 1)
    scores = torch.tensor([2.0**24] + [1.0] * 8)
    sketch_insert(sketch, keys_of([3] * 9), scores, evict_hot=False)
    assert float(sketch_scores(sketch)) == 2.0**24 + 8


def test_scores_end_at_the_largest(backend: str) -> None:
    sketch = empty_sketch(1, 1)
    for who in (1, 1, 2):
        sketch_insert(sketch, keys_of([who, who]), torch.full((2,), LARGEST), evict_hot=False)
        assert float(sketch_scores(sketch)) == LARGEST
    assert (float(sketch_errors(sketch)), float(guaranteed_scores(sketch))) == (LARGEST, 0.0)


def test_a_score_of_nothing_changes_nothing(backend: str) -> None:
    sketch = empty_sketch(1, 1)
    nothing = sketch_insert(sketch, keys_of([1]), torch.zeros(1), evict_hot=True)
    assert (nothing.slots.tolist(), sketch.count_nonzero()) == ([-1], 0)
    sketch_insert(sketch, keys_of([1]), torch.ones(1), evict_hot=True)
    before = sketch.clone()
    assert sketch_insert(sketch, keys_of([2]), torch.zeros(1), evict_hot=True).slots.tolist() == [-1]
    known = sketch_insert(sketch, keys_of([1]), torch.zeros(1), evict_hot=True)
    assert (known.slots.tolist(), known.hits.tolist()) == ([0], [True])
    assert torch.equal(sketch, before)


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf, -math.inf])
def test_scores_that_are_none_are_refused_and_change_nothing(backend: str, bad: float) -> None:
    sketch = empty_sketch(2, 2)
    scores = torch.ones(9)
    scores[6] = bad
    with pytest.raises(ValueError, match=r"scores must be finite and not negative; score 6 is -?(1|nan|inf)\."):
        sketch_insert(sketch, keys_of(range(9)), scores, evict_hot=False)
    assert not sketch.any()


def test_what_does_not_fit_is_refused(backend: str) -> None:
    keys, scores = keys_of([1, 2]), torch.ones(2)
    for sketch in (torch.zeros(2, 2, 3), torch.zeros(2, 6, dtype=torch.int32)):
        with pytest.raises(TypeError, match=r"sketch must be int32 \[buckets, slots, 3\]"):
            sketch_insert(sketch, keys, scores, evict_hot=False)
    for shape in ((0, 2, 3), (2, 0, 3), (2, 33, 3), (2, 2, 4)):
        with pytest.raises(ValueError, match="sketch must be"):
            sketch_insert(torch.zeros(shape, dtype=torch.int32), keys, scores, evict_hot=False)
    with pytest.raises(ValueError, match="1 to 32"):
        empty_sketch(4, 33)
    sketch = empty_sketch(4, 2)
    with pytest.raises(ValueError, match="contiguous"):
        sketch_insert(sketch[::2], keys, scores, evict_hot=False)
    with pytest.raises(TypeError, match="keys must be int64"):
        sketch_insert(sketch, keys.int(), scores, evict_hot=False)
    with pytest.raises(TypeError, match="scores float32"):
        sketch_insert(sketch, keys, scores.double(), evict_hot=False)
    with pytest.raises(ValueError, match="2 keys need as many scores, got 1"):
        sketch_insert(sketch, keys, scores[:1], evict_hot=False)


def test_it_is_an_op(backend: str) -> None:
    sketch = empty_sketch(3, 2)
    arguments = (sketch, keys_of([1, 2, 1]), torch.ones(3), False)
    torch.library.opcheck(torch.ops.pocketrec.sketch_insert.default, arguments)
    found = Inserted(*torch.ops.pocketrec.sketch_insert(*arguments))
    assert [one.shape for one in found] == [(2,)] * 4


# ---------------------------------------------------------------- what a sketch promises


@pytest.mark.parametrize("slots", [2, 4, 8])
@pytest.mark.parametrize("z", [1.05, 1.4])
def test_nobody_with_a_share_of_its_bucket_is_missing(slots: int, z: float) -> None:
    """Per bucket, hot evicted: all mass is in the scores; a key with more than 1 / slots of it is there; a score is
    never below the truth, and less its error never above."""
    buckets, ids = 40, 3000
    sketch, truth, keys = empty_sketch(buckets, slots), torch.zeros(ids), keys_of(torch.arange(ids))
    draw = torch.Generator().manual_seed(slots)
    for call in range(60):
        drawn = zipf(z, ids, 200, seed=call)
        scores = torch.randint(1, 9, (200,), generator=draw).float() / 4
        sketch_insert(sketch, keys[drawn], scores, evict_hot=True)
        truth.index_add_(0, drawn, scores)
        home = bucket(keys, buckets)
        mass = torch.zeros(buckets).index_add_(0, home, truth)
        assert torch.equal(sketch_scores(sketch).sum(dim=1), mass)
        slot = sketch_find(sketch, keys)
        assert bool((slot >= 0)[truth > mass[home] / slots].all())
        held = slot >= 0
        stored = sketch_scores(sketch).reshape(-1)[slot[held]]
        assert bool((stored >= truth[held]).all())
        assert bool((guaranteed_scores(sketch).reshape(-1)[slot[held]] <= truth[held]).all())
    assert int((truth > mass[home] / slots).sum()) > 5


def chance_of_any_stream(gamma: float, buckets: int, slots: int) -> float:
    """CAFE, theorem 3.1: at least so often is a key held that has more than this share of all scores."""
    return 1 - (1 - gamma) / ((slots - 1) * gamma * buckets)


def chance_of_zipf(gamma: float, buckets: int, slots: int, z: float) -> float:
    """CAFE, theorem 3.3: the same of a stream with shares as rank^-z."""
    etas = [step / 200 for step in range(1, 2000)]
    return max(3**-eta * (1 - eta / ((slots - 1) * gamma * (eta * buckets) ** z)) for eta in etas)


def test_the_bounds_are_those_of_the_paper() -> None:
    """Values that were computed from the theorems by others, for 10,000 buckets of 4."""
    for gamma, chance in ((2e-5, 0.181), (5e-5, 0.608), (1e-4, 0.786), (2e-4, 0.885), (5e-4, 0.950), (1e-3, 0.973)):
        assert chance_of_zipf(gamma, 10_000, 4, 1.1) == pytest.approx(chance, abs=1e-3)
    for z, gamma, chance in ((1.4, 1e-5, 0.708), (1.4, 1e-4, 0.940), (2.0, 1e-5, 0.962)):
        assert chance_of_zipf(gamma, 10_000, 4, z) == pytest.approx(chance, abs=1e-3)
    assert chance_of_any_stream(1e-4, 10_000, 4) == pytest.approx(0.667, abs=1e-3)
    assert chance_of_any_stream(1e-3, 10_000, 4) == pytest.approx(0.967, abs=1e-3)


@pytest.mark.parametrize("z", [1.1, 1.4])
def test_frequent_keys_are_held_as_often_as_proven(compiled: None, z: float) -> None:
    buckets, slots, ids, seeds = 100, 4, 2000, 200
    chances = torch.arange(1, ids + 1, dtype=torch.float64).pow(-z)
    shares = chances / chances.sum()
    held = torch.zeros(ids)
    for seed in range(seeds):
        sketch = empty_sketch(buckets, slots)
        drawn, keys = zipf(z, ids, 10_000, seed), keys_of(torch.arange(ids), seed)
        for some in drawn.split(500):
            sketch_insert(sketch, keys[some], torch.ones(len(some)), evict_hot=True)
        held += (sketch_find(sketch, keys) >= 0).float()
    proven = 0
    for who in range(60):
        gamma = float(shares[who])
        bound = max(chance_of_any_stream(gamma, buckets, slots), chance_of_zipf(gamma, buckets, slots, z))
        if bound > 0:
            assert float(held[who]) / seeds >= bound
            proven += 1
    assert proven > 5


# ---------------------------------------------------------------- reading and decaying


def test_decay_leaves_rows_alone() -> None:
    sketch = empty_sketch(1, 4)
    sketch_insert(sketch, keys_of([1, 2, 3, 4]), torch.tensor([1.0, 2, 3, 4]), evict_hot=False)
    sketch_insert(sketch, keys_of([5]), torch.tensor([1.5]), evict_hot=False)
    promote(sketch, 2, 9)
    before = sketch.clone()
    sketch_decay(sketch, 0.5)
    assert sketch_scores(sketch).tolist() == [[1.25, 1.0, 1.5, 2.0]]
    assert sketch_errors(sketch).tolist() == [[0.5, 0.0, 0.0, 0.0]]
    assert torch.equal(sketch[..., 0], before[..., 0])
    assert (sketch[0, :, 2] >= 0).tolist() == [False, False, True, False]
    assert int(sketch[0, 2, 2]) == 9
    sketch_decay(sketch, 1e38)
    sketch_decay(sketch, 1e38)
    assert sketch_scores(sketch).tolist() == [[LARGEST] * 4]
    assert sketch_errors(sketch).tolist() == [[LARGEST, 0.0, 0.0, 0.0]]
    for factor in (-0.5, math.nan, math.inf):
        with pytest.raises(ValueError, match="factor must be finite and not negative"):
            sketch_decay(sketch, factor)


def test_an_empty_sketch_holds_nothing() -> None:
    sketch = empty_sketch(3, 2)
    assert not is_hot(sketch).any()
    assert not guaranteed_scores(sketch).any()
    assert sketch_find(sketch, keys_of([0, 1])).tolist() == [-1, -1]
    sketch_decay(sketch, 0.5)
    assert not sketch.any()


def test_errors_are_in_the_place(backend: str) -> None:
    sketch = empty_sketch(1, 1)
    sketch_insert(sketch, keys_of([1]), torch.tensor([0.75]), evict_hot=False)
    assert int(sketch[0, 0, 2]) == NO_ERROR
    sketch_insert(sketch, keys_of([2]), torch.tensor([0.25]), evict_hot=False)
    assert (float(sketch_scores(sketch)), float(sketch_errors(sketch))) == (1.0, 0.75)
    assert float(guaranteed_scores(sketch)) == 0.25
    assert not is_hot(sketch).any()


def test_hot_ids_are_found_by_their_address(backend: str) -> None:
    """Kind SKETCHED: who owns a row finds it, nobody else finds any."""
    ids = torch.arange(3000)
    for slots in (1, 4, 7):
        sketch = empty_sketch(300, slots)
        keys = keys_of(ids, seed=-4)
        sketch_insert(sketch, keys, torch.rand(3000, generator=torch.Generator().manual_seed(0)), evict_hot=False)
        slot = sketch_find(sketch, keys)
        hot = slot[slot >= 0][::2]
        sketch.view(-1, 3)[hot, 2] = torch.arange(len(hot), dtype=torch.int32)
        rows = torch.full((300 * slots + 1,), -1)
        rows[hot] = torch.arange(len(hot)) + 50
        row = program_row(kind=Kind.SKETCHED, start=50, size=300, a=slots, b=7, seed=-4)
        maps = torch.cat([torch.ones(7, dtype=torch.int32), sketch.view(-1)])
        assert torch.equal(addresses(ids[:, None], torch.tensor([row]), maps=maps)[:, 0], rows[slot])


def test_the_kernel_is_there_where_kernels_are() -> None:
    assert binding._built is None or hasattr(binding._built, "sketch_insert")
