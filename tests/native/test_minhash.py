from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec.native.binding import kernels, use_backend
from pocketrec.native.minhash import minhash

BACKENDS = ["reference", *(["compiled"] if kernels() is not None else [])]


def sets_of(*sets: list[int]) -> tuple[Tensor, Tensor]:
    """starts and members."""
    starts = torch.tensor([0, *(len(one) for one in sets)]).cumsum(0)
    return starts, torch.tensor([member for one in sets for member in one], dtype=torch.int32)


def drawn(count: int = 400, most: int = 30) -> tuple[Tensor, Tensor]:
    """Sets of 0 to `most` members, some of them twice."""
    draw = torch.Generator().manual_seed(4)
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), torch.randint(most + 1, (count,), generator=draw).cumsum(0)])
    return starts, torch.randint(2**31, (int(starts[-1]),), generator=draw, dtype=torch.int32)


def planted(similarity: float, size: int, number: int) -> tuple[list[int], list[int]]:
    """Two sets of so many members in all, of which that share is in both."""
    both, first = round(similarity * size), number * size
    rest = (size - both) // 2
    common = list(range(first, first + both))
    return (
        common + list(range(first + both, first + both + rest)),
        common + list(range(first + both + rest, first + both + 2 * rest)),
    )


@pytest.mark.skipif(kernels() is None, reason="pocketrec._native was not built, or POCKETREC_NATIVE=0")
@pytest.mark.parametrize("hashes", [1, 7, 8, 9, 33])
def test_the_kernel_gives_what_the_reference_gives(hashes: int) -> None:
    starts, members = drawn()
    found = minhash(starts, members, hashes=hashes, seed=-3)
    with use_backend("reference"):
        assert torch.equal(found, minhash(starts, members, hashes=hashes, seed=-3))
    part = minhash(starts[100:201], members, hashes=hashes, seed=-3)
    assert torch.equal(part, found[100:200]), "sets may begin anywhere"


@pytest.mark.parametrize("backend", BACKENDS)
class TestBoth:
    @pytest.fixture(autouse=True)
    def _computes(self, backend: Any) -> Iterator[None]:
        with use_backend(backend):
            yield

    def test_it_is_the_definition(self) -> None:
        sets = [0, 1, 2], [5], [2**31 - 1, 77]
        assert minhash(*sets_of(*sets), hashes=9, seed=7).tolist() == [
            [least(one, j) for j in range(9)] for one in sets
        ]

    def test_order_and_repetition_do_not_count(self) -> None:
        found = minhash(*sets_of([3, 1, 2], [2, 3, 3, 1, 1]), hashes=16, seed=0)
        assert torch.equal(found[0], found[1])

    def test_empty_sets_have_no_hash(self) -> None:
        assert minhash(*sets_of([], [4], []), hashes=3, seed=0)[[0, 2]].tolist() == [[-1] * 3] * 2
        assert minhash(torch.tensor([0]), torch.empty(0, dtype=torch.int32), hashes=3, seed=0).shape == (0, 3)

    def test_more_hashes_leave_the_first_ones(self) -> None:
        starts, members = drawn(50)
        assert torch.equal(
            minhash(starts, members, hashes=20, seed=1)[:, :5], minhash(starts, members, hashes=5, seed=1)
        )

    def test_what_does_not_fit_is_refused(self) -> None:
        starts, members = sets_of([1, 2], [3])
        with pytest.raises(ValueError, match="hashes must be 1 or more, got 0"):
            minhash(starts, members, hashes=0, seed=0)
        with pytest.raises(TypeError, match="members int32"):
            minhash(starts, members.long(), hashes=1, seed=0)
        for wrong in ([0, 3, 2], [-1, 2, 3], [0, 2, 4]):
            with pytest.raises(ValueError, match="starts"):
                minhash(torch.tensor(wrong), members, hashes=1, seed=0)


def least(members: list[int], j: int, seed: int = 7) -> int:
    """The definition in Python's integers."""

    def fin(word: int) -> int:
        word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        word = (word ^ word >> 27) * 0x94D049BB133111EB % 2**64
        return word ^ word >> 31

    def mix(word: int) -> int:
        inner = fin((word + 0x9E3779B97F4A7C15 * (seed + 1)) % 2**64)
        return fin(inner ^ seed * 0xD6E8FEB86659FD93 % 2**64)

    return min(fin((mix(member) + 0x9E3779B97F4A7C15 * (j + 1)) % 2**64) >> 1 for member in members)


@pytest.mark.parametrize(("similarity", "size"), [(0.0, 40), (0.2, 40), (0.5, 40), (0.8, 40), (0.5, 5334)])
def test_sets_agree_as_often_as_they_are_alike(similarity: float, size: int) -> None:
    """Broder's law, within four standard errors; large sets too, where a published generator is off by .02."""
    pairs, hashes = (300, 64) if size < 1000 else (20, 128)
    sets = [one for number in range(pairs) for one in planted(similarity, size, number)]
    found = minhash(*sets_of(*sets), hashes=hashes, seed=5).view(pairs, 2, hashes)
    share = (found[:, 0] == found[:, 1]).double()
    exact = round(similarity * size) / (size - (size - round(similarity * size)) % 2)
    error = math.sqrt(exact * (1 - exact) / share.numel())
    assert abs(float(share.mean()) - exact) <= 4 * error
    # hashes of one pair of sets know nothing of one another: the mean over hashes scatters as so many draws do
    if exact:
        assert float(share.mean(dim=1).var()) == pytest.approx(
            exact * (1 - exact) / hashes, rel=0.35 if pairs > 100 else 1
        )


def test_another_library_finds_sets_as_alike() -> None:
    """datasketch: both estimates of the same pair of sets, each within four standard errors."""
    import datasketch  # here, not above: it takes a second, with scipy

    for similarity in (0.2, 0.5, 0.8):
        one, two = planted(similarity, 400, 0)
        theirs = [datasketch.MinHash(num_perm=512, seed=1) for _ in range(2)]
        for sketch, members in zip(theirs, (one, two), strict=True):
            sketch.update_batch([str(member).encode() for member in members])
        found = minhash(*sets_of(one, two), hashes=512, seed=1)
        error = 4 * math.sqrt(similarity * (1 - similarity) / 512)
        assert theirs[0].jaccard(theirs[1]) == pytest.approx(similarity, abs=error)
        assert float((found[0] == found[1]).double().mean()) == pytest.approx(similarity, abs=error)


def test_hashes_fill_all_63_bits() -> None:
    """One member per set: the least hash is the hash, uniform over its range, under every seed another."""
    found = minhash(torch.arange(20_001), torch.arange(20_000, dtype=torch.int32), hashes=2, seed=1)
    assert int(found.min()) >= 0
    assert float((found.double() / 2**63).mean()) == pytest.approx(0.5, abs=4 * math.sqrt(1 / 12 / found.numel()))
    assert len(found.unique()) == found.numel()
    other = minhash(torch.arange(20_001), torch.arange(20_000, dtype=torch.int32), hashes=2, seed=2)
    assert not bool((found == other).any())


def test_it_is_an_op() -> None:
    starts, members = drawn(5)
    torch.library.opcheck(torch.ops.pocketrec.minhash.default, (starts, members, 3, 1))
