"""The published hash, to the bit (fidelity test 21)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pocketrec.compress.addressing.linear_block import PRIME, LinearBlock

Found = Callable[..., list[list[int]]]

# The published code keeps P and then 50 draws of this generator, and uses the first three as r1, r2, r3.
DRAWN = [PRIME, *np.random.RandomState(1024).randint(0, PRIME, 50).tolist()]


@pytest.mark.parametrize("offset", [0, 5000, 33_762_577])
@pytest.mark.parametrize(("weights", "block"), [(997, 4), (500_000, 16), (27_000_000, 32), (10_007, 1)])
def test_starts_are_the_formula(weights: int, block: int, offset: int, found: Found) -> None:
    r1, r2, r3 = DRAWN[1:4]
    table = LinearBlock(weights=weights, block=block, coefficients=(r1, r2, r3), offset=offset)
    ids = [0, 1, 2, 1023, 10_131_226, 2**31, 4_000_000_000, 2**53 + 1, 2**62]
    expected = [[((x + offset) * r3 + c * r2 + r1) % PRIME % (weights - block + 1) for c in range(4)] for x in ids]
    assert found(table, ids, parts=4) == expected


def test_the_prime_is_the_published_one() -> None:
    assert PRIME == 2038074743
    assert all(PRIME % d for d in range(2, 45_150)), "and it is one: 45,150 squared is above it"
