"""The laws of LMA's signatures, with numbers: how often keys of alike sets agree."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pocketrec.compress.parts import signatures as module
from pocketrec.compress.parts.signatures import (
    chained,
    compact_signatures,
    packed_sets,
    signature_keys,
    words_per_id,
)
from pocketrec.native.minhash import minhash
from pocketrec.native.mix import mix
from pocketrec.spec.errors import OptionError

Sets = tuple[Tensor, Tensor, Tensor]
GOLDEN = [
    [0, 0],
    [-8185378232866248581, 2822877446],
    [4805371442670062712, 653209475],
    [0, 0],
    [-2261229438189389533, 510355134],
]


def sets_of(sets: dict[int, list[int]]) -> Sets:
    """values, starts, members."""
    starts = torch.tensor([0, *(len(one) for one in sets.values())]).cumsum(0)
    members = torch.tensor([member for one in sets.values() for member in one], dtype=torch.int32)
    return torch.tensor(list(sets), dtype=torch.int64), starts, members


def pairs(similarity: float, size: int, count: int) -> tuple[Sets, float]:
    """Sets 2 i and 2 i + 1 have so many members in all, of which that share is in both; and the exact share."""
    both = round(similarity * size)
    rest = (size - both) // 2
    found = {}
    for number in range(count):
        first = number * size
        common = list(range(first, first + both))
        found[2 * number] = common + list(range(first + both, first + both + rest))
        found[2 * number + 1] = common + list(range(first + both + rest, first + both + 2 * rest))
    return sets_of(found), both / (both + 2 * rest)


def agreement(sets: Sets, keys: int, bits: int, power: int, seed: int = 5) -> Tensor:
    """float64 [pairs]: share of equal keys of sets 2 i and 2 i + 1."""
    words = compact_signatures(*sets, ids=len(sets[0]), keys=keys, bits=bits, power=power, seed=seed)
    found = signature_keys(words, keys=keys, bits=bits).view(-1, 2, keys)
    return (found[:, 0] == found[:, 1]).double().mean(dim=1)


# ---------------------------------------------------------------- laws


@pytest.mark.parametrize("bits", [1, 4, 16])
@pytest.mark.parametrize("power", [1, 2, 4])
@pytest.mark.parametrize("similarity", [0.0, 0.2, 0.5, 0.8])
def test_keys_agree_as_often_as_the_law_says(similarity: float, power: int, bits: int) -> None:
    """J^power + (1 - J^power) / 2^bits, mean and variance: 600 pairs of sets, 64 keys each."""
    sets, exact = pairs(similarity, 40, 600)
    assert exact == similarity
    law = similarity**power + (1 - similarity**power) / 2**bits
    share = agreement(sets, 64, bits, power)
    assert abs(float(share.mean()) - law) <= 4 * math.sqrt(law * (1 - law) / (600 * 64)) + 1e-12
    if law * 64 > 2:  # keys know nothing of one another: the share scatters as so many coins do
        assert float(share.var()) == pytest.approx(law * (1 - law) / 64, rel=0.25)


def test_large_sets_are_not_off() -> None:
    """4,000 members each, 2,667 of 5,333 in common: a published generator gives .523 here.

    The bound is that of the fidelity list, for 128 keys of each pair. There it is 1.4 standard errors, here 2.8.
    """
    sets, exact = pairs(0.5, 5334, 60)
    assert sets[1].diff().unique().tolist() == [4000]
    assert exact == 2667 / 5333
    share = agreement(sets, 512, 32, 1)
    assert abs(float(share.mean()) - 0.5) <= 0.008


def test_more_power_makes_fewer_keys_agree() -> None:
    sets, _ = pairs(0.5, 40, 300)
    shares = [float(agreement(sets, 32, 16, power).mean()) for power in (1, 2, 3, 4)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 6 * shares[3]


def test_equal_sets_have_equal_keys_in_whatever_order() -> None:
    sets = sets_of({0: [5, 1, 9], 1: [9, 5, 1], 2: [1, 1, 9, 5, 5], 3: [5, 1, 8]})
    words = compact_signatures(*sets, ids=4, keys=20, bits=8, power=2, seed=3)
    assert torch.equal(words[0], words[1])
    assert torch.equal(words[0], words[2])
    assert not torch.equal(words[0], words[3])


def test_keys_reach_all_their_values() -> None:
    """20,000 sets of their own: keys of 16 bits fill 2^16 values as so many random ones would, whatever the members."""
    sets = sets_of({number: [3 * number, 3 * number + 1, 3 * number + 2] for number in range(20_000)})
    keys = signature_keys(compact_signatures(*sets, ids=20_000, keys=4, bits=16, power=1, seed=0), keys=4, bits=16)
    filled = len(keys.unique()) / 2**16
    assert filled == pytest.approx(1 - math.exp(-keys.numel() / 2**16), abs=0.01)


# ---------------------------------------------------------------- the form


@pytest.mark.parametrize(
    ("keys", "bits", "words"), [(16, 4, 1), (17, 4, 2), (15, 5, 2), (12, 5, 1), (3, 33, 3), (2, 64, 2), (64, 1, 1)]
)
def test_keys_come_back_as_they_were_packed(keys: int, bits: int, words: int) -> None:
    sets = sets_of({number: [number, 2 * number + 1] for number in range(50)})
    packed = compact_signatures(*sets, ids=50, keys=keys, bits=bits, power=3, seed=9)
    assert packed.shape == (50, words) == (50, words_per_id(keys, bits))
    word = chained(minhash(sets[1], sets[2], hashes=3 * keys, seed=9), 3)
    expected = word & (-1 if bits == 64 else 2**bits - 1)
    assert torch.equal(signature_keys(packed, keys=keys, bits=bits), expected)
    # and where the docstring says
    q = keys - 1
    low = (q % (64 // bits)) * bits
    assert (int(packed[7, q // (64 // bits)]) % 2**64 >> low) % 2**bits == int(expected[7, q]) % 2**bits


def test_hashes_are_chained_with_their_places() -> None:
    least = torch.arange(12).view(2, 6)
    (first, second) = chained(least, 3)[1].tolist()
    assert first == int(mix(mix(mix(least[1, 0], 0) ^ least[1, 1], 1) ^ least[1, 2], 2))
    assert second == int(mix(mix(mix(least[1, 3], 0) ^ least[1, 4], 1) ^ least[1, 5], 2))
    assert chained(torch.tensor([[7, 8]]), 2).tolist() != chained(torch.tensor([[8, 7]]), 2).tolist()


def test_numbers_that_stay() -> None:
    """Artifacts hold them: whoever changes the hash finds this test first."""
    sets = sets_of({1: [0, 1, 2], 2: [2, 3], 4: [70_000]})
    found = compact_signatures(*sets, ids=5, keys=12, bits=8, power=2, seed=1)
    assert found.tolist() == GOLDEN


def test_ids_without_a_set_have_no_signature() -> None:
    sets = sets_of({1: [4, 5], 3: [], 4: [6], 9: [7]})
    words = compact_signatures(*sets, ids=6, keys=16, bits=8, power=1, seed=0)
    assert (words == 0).all(dim=1).tolist() == [True, False, True, True, False, True]
    assert compact_signatures(*sets_of({}), ids=2, keys=1, bits=8, power=1, seed=0).tolist() == [[0], [0]]
    assert compact_signatures(*sets, ids=0, keys=1, bits=8, power=1, seed=0).shape == (0, 1)


def test_no_set_looks_like_none() -> None:
    sets = sets_of({number: [number] for number in range(1000)})
    words = compact_signatures(*sets, ids=1000, keys=2, bits=2, power=1, seed=0)
    assert not (words == 0).any()
    keys = signature_keys(words, keys=2, bits=2)
    # 1/16 of the sets would be all zero, and have a 1 for their first key
    assert float((keys[:, 0] == 1).double().mean()) == pytest.approx(1 / 4 + 1 / 16, abs=0.06)
    assert set(compact_signatures(*sets, ids=1000, keys=1, bits=1, power=1, seed=0).flatten().tolist()) == {1}


def test_new_ids_move_no_others() -> None:
    few = {number: [number, number + 3] for number in range(0, 40, 2)}
    more = few | {number: [5 * number] for number in range(1, 60, 2)}
    options: dict[str, Any] = {"keys": 20, "bits": 6, "power": 2, "seed": 8}
    before = compact_signatures(*sets_of(few), ids=40, **options)
    after = compact_signatures(*sets_of(dict(sorted(more.items()))), ids=60, **options)
    assert torch.equal(before[::2], after[:40:2])


def test_it_does_not_matter_how_much_is_done_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sets, _ = pairs(0.5, 20, 50)
    whole = compact_signatures(*sets, ids=100, keys=5, bits=4, power=2, seed=2)
    for at_once in (1, 200, 999):
        monkeypatch.setattr(module, "_AT_ONCE", at_once)
        assert torch.equal(compact_signatures(*sets, ids=100, keys=5, bits=4, power=2, seed=2), whole)


def test_another_seed_is_another_signature() -> None:
    sets, _ = pairs(0.5, 20, 50)
    one, two = (compact_signatures(*sets, ids=100, keys=4, bits=16, power=1, seed=seed) for seed in (0, -1))
    assert not (one == two).any()


# ---------------------------------------------------------------- the sets themselves


def test_sets_are_packed_with_their_starts() -> None:
    values, starts, members = sets_of({1: [4, 5], 3: [], 4: [6], 9: [7]})
    assert packed_sets(values, starts, members, ids=6).tolist() == [0, 0, 2, 2, 2, 3, 3, 4, 5, 6]
    assert packed_sets(values, starts, members, ids=10).tolist()[-4:] == [4, 5, 6, 7]
    assert packed_sets(values, starts, members, ids=0).tolist() == [0]
    part = packed_sets(values[1:], starts[1:], members, ids=6)
    assert part.dtype is torch.int32
    assert part.tolist() == [0, 0, 0, 0, 0, 1, 1, 6]


def test_arrays_serve_as_well_as_tensors() -> None:
    values, starts, members = sets_of({1: [4, 5], 4: [6]})
    arrays = (values.numpy(), starts.numpy(), members.numpy())
    assert isinstance(arrays[0], np.ndarray)
    assert torch.equal(packed_sets(*arrays, ids=6), packed_sets(values, starts, members, ids=6))
    options: dict[str, Any] = {"ids": 6, "keys": 3, "bits": 8, "power": 1, "seed": 0}
    assert torch.equal(compact_signatures(*arrays, **options), compact_signatures(values, starts, members, **options))


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(("keys", "bits"), [(0, 4), (1, 0), (1, 65)])
def test_keys_that_cannot_be_are_refused(keys: int, bits: int) -> None:
    with pytest.raises(OptionError, match=f"got {keys} of {bits}"):
        words_per_id(keys, bits)


def test_what_does_not_fit_is_refused() -> None:
    values, starts, members = sets_of({1: [4, 5], 4: [6]})
    options: dict[str, Any] = {"ids": 6, "keys": 3, "bits": 8, "power": 1, "seed": 0}
    with pytest.raises(OptionError, match="power 0"):
        compact_signatures(values, starts, members, **options | {"power": 0})
    with pytest.raises(OptionError, match="ids must be 0 or more, got -1"):
        packed_sets(values, starts, members, ids=-1)
    with pytest.raises(ValueError, match="members int32"):
        packed_sets(values, starts, members.long(), ids=6)
    with pytest.raises(ValueError, match="2 values need 3 starts"):
        packed_sets(values, starts[:2], members, ids=6)
    for wrong in ([4, 1], [1, 1], [-1, 4]):
        with pytest.raises(ValueError, match="values must rise"):
            packed_sets(torch.tensor(wrong), starts, members, ids=6)
    for wrong in ([0, 3, 2], [-1, 2, 3], [0, 2, 4]):
        with pytest.raises(ValueError, match="starts must rise"):
            packed_sets(values, torch.tensor(wrong), members, ids=6)
    with pytest.raises(ValueError, match="take 2 words, got 1"):
        signature_keys(torch.zeros(3, 1, dtype=torch.int64), keys=9, bits=8)
