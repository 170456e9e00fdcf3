from __future__ import annotations

from collections.abc import Callable

import torch

from pocketrec.compress.addressing.hashed import Hashed
from pocketrec.compress.addressing.hashes import Hashes
from pocketrec.native import bucket, mix

Found = Callable[..., list[list[int]]]
IDS = [0, 1, 2**31, 2**53 + 1, 2**63 - 1]


def test_every_address_is_a_hash_of_the_hash(found: Found) -> None:
    base = mix(torch.tensor(IDS), 7)
    expected = torch.stack([100 + bucket(mix(base, j), 50) for j in range(3)], dim=1)
    assert found(Hashes(start=100, buckets=50, seed=7, count=3), IDS, parts=3) == expected.tolist()


def test_a_single_one_is_that_of_hashed(found: Found) -> None:
    one, same = Hashes(start=100, buckets=50, seed=7, count=1), Hashed(start=100, buckets=50, seed=7)
    assert found(one, IDS) == found(same, IDS)


def test_fewer_hashes_than_parts_leave_the_others_null(found: Found) -> None:
    addresses = torch.tensor(found(Hashes(start=0, buckets=50, seed=7, count=2), IDS, parts=4))
    assert (addresses[:, :2] >= 0).all()
    assert (addresses[:, 2:] == -1).all()


def test_seeds_and_hashes_differ(found: Found) -> None:
    one, two = (
        torch.tensor(found(Hashes(start=0, buckets=10**9, seed=s, count=2), range(100), parts=2)) for s in (1, 2)
    )
    assert (one != two).all()
    assert (one[:, 0] != one[:, 1]).all()
