from __future__ import annotations

from collections.abc import Callable

import torch

from pocketrec.compress.addressing.hashed import Hashed
from pocketrec.native import bucket, mix

Found = Callable[..., list[list[int]]]


def test_the_address_is_the_mixing_hash(found: Found) -> None:
    ids = [0, 1, 2**31, 2**53 + 1, 2**63 - 1]
    expected = 100 + bucket(mix(torch.tensor(ids), 7), 50)
    assert found(Hashed(start=100, buckets=50, seed=7), ids) == expected[:, None].tolist()


def test_the_first_ids_may_keep_their_rows(found: Found) -> None:
    addresses = [a for (a,) in found(Hashed(start=100, buckets=50, seed=7, exact=10), range(500))]
    assert addresses[:10] == list(range(100, 110))
    assert min(addresses[10:]) >= 110
    assert set(addresses[10:]) == set(range(110, 160))


def test_seeds_differ(found: Found) -> None:
    one, two = (found(Hashed(start=0, buckets=10**9, seed=s), range(100)) for s in (1, 2))
    assert all(a != b for a, b in zip(one, two, strict=True))
