from __future__ import annotations

import math

import pytest
import torch

from pocketrec.compress.parts.init import bound, generator, stream, uniform_
from pocketrec.spec.table import TableSpec


def test_streams_are_seeds_of_their_own() -> None:
    paths = [(), (0,), (1,), (0, 0), (0, 1), (1, 0), (2,), (0, 0, 0)]
    seeds = {stream(seed, *path) for seed in range(50) for path in paths}
    assert len(seeds) == 50 * len(paths)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_streams_are_frozen() -> None:
    """Seeds of artifacts that exist: these numbers never change."""
    assert [stream(0), stream(0, 0), stream(1, 2), stream(2**63 - 1, 3, 1)] == GOLDEN


GOLDEN = [8147104208329303767, 6017775124710473527, 6008800564457539727, 7542127218372325193]


def test_a_generator_is_nobody_elses() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    one, two = (torch.rand(5, generator=generator(7)) for _ in range(2))
    assert torch.equal(one, two)
    assert torch.equal(before, torch.get_rng_state())


def test_the_bound_is_dlrms_unless_told() -> None:
    table = TableSpec(name="t", rows=400, dim=2)
    assert bound(table, None) == 0.05
    assert bound(table, 0.3) == 0.3
    assert bound(TableSpec(name="t", rows=None, dim=2, ids="hash63"), None) == pytest.approx(1e-3)


def test_uniform_fills_in_place_within_its_bound() -> None:
    weights = torch.zeros(100_000)
    uniform_(weights, 0.5, seed=3)
    assert weights.abs().max() <= 0.5
    assert abs(float(weights.mean())) < 4 * 0.5 / math.sqrt(3 * 100_000)
    assert float(weights.var()) == pytest.approx(0.5**2 / 3, rel=0.02)
