from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec.native import binding
from pocketrec.native.binding import use_backend
from pocketrec.native.mix import bucket, mix, tag
from pocketrec.native.sifter import Sifted, empty_sifter, sift

LARGEST = torch.finfo(torch.float32).max


def keys_of(ids: Any) -> Tensor:
    return mix(torch.as_tensor(ids), 0)


def told(sifter: Tensor, ids: list[int], scores: list[float], least: float = 4.0) -> list[tuple[int, float]]:
    """Ids and scores that are forwarded."""
    found = sift(sifter, keys_of(ids), torch.tensor(scores), least=least)
    return [(ids[value], score) for value, score in zip(found.values.tolist(), found.scores.tolist(), strict=True)]


def held(sifter: Tensor) -> list[int]:
    """Tags of the first set in their order."""
    return sifter[0, :, 0].tolist()


def tags_of(*ids: int) -> list[int]:
    return [int(tag(keys_of(i))) if i else 0 for i in ids]


def test_the_latest_stands_first_and_who_was_longest_not_seen_is_dropped(backend: str) -> None:
    sifter = empty_sifter(1, 3)
    told(sifter, [1, 2, 3], [1.0] * 3)
    assert held(sifter) == tags_of(3, 2, 1)
    told(sifter, [1], [1.0])
    assert held(sifter) == tags_of(1, 3, 2)
    told(sifter, [3, 1], [1.0, 1.0])
    assert held(sifter) == tags_of(1, 3, 2)
    told(sifter, [4], [1.0])
    assert held(sifter) == tags_of(4, 1, 3), "2 was longest not seen"
    assert sifter[0, :, 1].view(torch.float32).tolist() == [1.0, 3.0, 2.0]
    assert told(sifter, [2], [3.0]) == [], "it begins anew"


def test_who_reaches_the_least_is_forwarded_with_all_that_it_had_and_then_directly(backend: str) -> None:
    sifter = empty_sifter(1, 2)
    assert told(sifter, [1], [1.5]) == []
    assert told(sifter, [1], [2.0]) == []
    assert told(sifter, [1], [1.0]) == [(1, 4.5)]
    assert sifter[0, 0, 1:].view(torch.float32).tolist() == [4.0], "pinned"
    assert told(sifter, [1], [0.25]) == [(1, 0.25)]
    assert sifter[0, 0, 1:].view(torch.float32).tolist() == [4.0]
    assert told(sifter, [2, 3, 2], [3.0, 9.0, 1.0]) == [(2, 4.0), (3, 9.0)], "at once, where one call is enough"
    assert told(sifter, [1], [3.0]) == [], "it was dropped"


def test_nothing_is_held_back_for_a_least_of_nothing(backend: str) -> None:
    sifter = empty_sifter(4, 2)
    assert told(sifter, [1, 2, 3, 1], [0.5, 0.0, 0.25, 0.5], least=0.0) == [(1, 1.0), (3, 0.25)]


def test_a_score_of_nothing_changes_nothing(backend: str) -> None:
    sifter = empty_sifter(1, 2)
    told(sifter, [1, 2], [1.0, 1.0])
    before = sifter.clone()
    assert told(sifter, [1, 3], [0.0, 0.0]) == []
    assert torch.equal(sifter, before)


class Replay:
    """The definition once more, with a list per set, one key at a time."""

    def __init__(self, sets: int, ways: int, least: float) -> None:
        self.ways, self.least = ways, least
        self.sets: list[list[list[float]]] = [[] for _ in range(sets)]  # tag, score; the latest last

    def tell(self, key: Tensor, score: float) -> float:
        if not score:
            return 0.0
        own, held = int(tag(key)), self.sets[int(bucket(key, len(self.sets)))]
        known = [way for way in held if way[0] == own]
        before = known[0][1] if known else 0.0
        held[:] = [way for way in held if way[0] != own]
        if len(held) == self.ways:
            held.pop(0)
        sum_ = before + score
        held.append([own, min(sum_, self.least)])
        return score if before >= self.least else sum_ if sum_ >= self.least else 0.0


@pytest.mark.parametrize(("sets", "ways"), [(1, 1), (1, 4), (3, 2), (7, 5)])
def test_it_is_the_definition(backend: str, sets: int, ways: int) -> None:
    draw, sifter, replay = torch.Generator().manual_seed(ways), empty_sifter(sets, ways), Replay(sets, ways, 3.0)
    outcomes = 0
    for _ in range(120):
        keys = keys_of(torch.randint(4 * sets * ways, (int(torch.randint(12, (1,), generator=draw)),), generator=draw))
        scores = torch.randint(8, (len(keys),), generator=draw).float() / 4
        found = sift(sifter, keys, scores, least=3.0)
        first = {key: i for i, key in reversed(list(enumerate(keys.tolist())))}
        expected = [
            (i, replay.tell(keys[i], float(scores[keys == key].sum())))
            for key, i in sorted(first.items(), key=lambda item: item[1])
        ]
        assert list(zip(found.values.tolist(), found.scores.tolist(), strict=True)) == [e for e in expected if e[1]]
        for held_ways, one in zip(replay.sets, sifter, strict=True):
            own = [[float(way[0]), float(way[1].view(torch.float32))] for way in one if int(way[0])]
            assert own == [[float(name), score] for name, score in reversed(held_ways)]
        outcomes += len(found.values)
    assert outcomes > 10


@pytest.mark.parametrize("least", [0.0, 0.3, 2.0])
@pytest.mark.parametrize(("sets", "ways"), [(1, 1), (1, 32), (40, 4), (300, 7)])
def test_backends_agree_to_the_last_bit(compiled: None, sets: int, ways: int, least: float) -> None:
    draw = torch.Generator().manual_seed(sets)
    ours, theirs = empty_sifter(sets, ways), empty_sifter(sets, ways)
    for count in (0, 1, 2, 500, 3000, 40):
        keys = keys_of((torch.rand(count, generator=draw) ** 3 * 6 * sets * ways).long())
        scores = torch.rand(count, generator=draw) * torch.rand(count, generator=draw).round()
        with use_backend("compiled"):
            found = sift(ours, keys, scores, least=least)
        with use_backend("reference"):
            expected = sift(theirs, keys, scores, least=least)
        assert torch.equal(ours, theirs)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_scores_end_at_the_largest(backend: str) -> None:
    sifter = empty_sifter(1, 1)
    assert told(sifter, [1], [LARGEST / 2], least=LARGEST) == []
    assert told(sifter, [1], [LARGEST], least=LARGEST) == [(1, LARGEST)]


def test_what_does_not_fit_is_refused_and_changes_nothing(backend: str) -> None:
    keys, scores = keys_of([1, 2]), torch.ones(2)
    for wrong in (torch.zeros(2, 2, 2), torch.zeros(2, 4, dtype=torch.int32)):
        with pytest.raises(TypeError, match=r"sifter must be int32 \[sets, ways, 2\]"):
            sift(wrong, keys, scores, least=1)
    for shape in ((0, 2, 2), (2, 0, 2), (2, 33, 2), (2, 2, 3)):
        with pytest.raises(ValueError, match="sifter must be"):
            sift(torch.zeros(shape, dtype=torch.int32), keys, scores, least=1)
    sifter = empty_sifter(4, 2)
    with pytest.raises(ValueError, match="contiguous"):
        sift(sifter[::2], keys, scores, least=1)
    for least in (-1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="least must be finite and not negative"):
            sift(sifter, keys, scores, least=least)
    for bad in (-1.0, math.nan):
        with pytest.raises(ValueError, match=r"scores must be finite and not negative; score 1 is -?(1|nan)\."):
            sift(sifter, keys, torch.tensor([1.0, bad]), least=1)
    with pytest.raises(ValueError, match="2 keys need as many scores, got 1"):
        sift(sifter, keys, scores[:1], least=1)
    assert not sifter.any()


def test_it_is_an_op(backend: str) -> None:
    arguments = (empty_sifter(3, 2), keys_of([1, 2, 1]), torch.ones(3), 2.0)
    torch.library.opcheck(torch.ops.pocketrec.sift.default, arguments)
    assert isinstance(sift(*arguments[:3], least=1.0), Sifted)


def test_the_kernel_is_there_where_kernels_are() -> None:
    assert binding._built is None or hasattr(binding._built, "sift")
