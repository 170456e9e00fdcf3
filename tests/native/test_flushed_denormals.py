from __future__ import annotations

import pytest
import torch

from pocketrec.native import Access, Kind, Pooling, lookup, program_row, use_threads
from pocketrec.native.flushed_denormals import flushed_denormals, flushes


@pytest.fixture(autouse=True)
def _can() -> None:
    with flushed_denormals():
        if not flushes():
            pytest.skip("this processor cannot take denormal numbers for zero")


def products() -> torch.Tensor:
    """1e-40, a million times, by the kernels: rows of 1e-20 times weights of 1e-20."""
    row = program_row(kind=Kind.ROW, b=0, size=4)
    ids = torch.arange(20_000) % 4
    weights = torch.full((20_000,), 1e-20)
    return lookup(
        [torch.full((4, 64), 1e-20)], ids, Access(torch.tensor([row]), (0,), 64, 1, 0),
        offsets=torch.arange(20_001), weights=weights, pooling=Pooling.SUM,
    )  # fmt: skip


def test_they_are_zero_inside_and_only_there() -> None:
    assert not flushes()
    with flushed_denormals():
        assert flushes()
        with flushed_denormals():
            pass
        assert flushes(), "who was in it already stays in it"
    assert not flushes()


def test_an_error_leaves_it() -> None:
    with pytest.raises(ValueError, match="three"), flushed_denormals():
        raise ValueError("three")
    assert not flushes()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_all_threads_of_the_pool_compute_as_the_one_that_asks(threads: int) -> None:
    with use_threads(threads):
        for _ in range(5):  # workers are awake by then
            assert bool((products() > 0).all())
            with flushed_denormals():
                assert not bool(products().any())
