"""What is the same for storages whose steps learn."""

from __future__ import annotations

import math

import pytest
import torch

from pocketrec.compress.storage import STORAGES
from pocketrec.compress.storage._learned_step import LearnedStep

LEARNED = [name for name in STORAGES.names() if STORAGES.get(name).learns_steps]


def of(name: str) -> LearnedStep:
    storage = STORAGES.get(name)
    assert isinstance(storage, LearnedStep)
    return storage


def test_which_they_are() -> None:
    assert LEARNED == ["int4_table", "lsq", "lsq8"]
    assert all(STORAGES.get(name).rounds_reads for name in LEARNED)


@pytest.mark.parametrize("name", [name for name in LEARNED if not of(name).every])
def test_the_first_step_is_the_papers(name: str) -> None:
    rows = torch.randn(40, 16, generator=torch.Generator().manual_seed(0))
    bits = {"lsq": 4, "lsq8": 8}[name]
    wanted = 2 * rows.abs().mean(dim=1, keepdim=True) / math.sqrt(2 ** (bits - 1) - 1)
    torch.testing.assert_close(of(name).first_step(rows), wanted)
    assert float(of(name).first_step(torch.zeros(1, 4))) > 0


@pytest.mark.parametrize("name", LEARNED)
def test_a_step_of_zero_stands_for_the_first(name: str) -> None:
    storage, rows = of(name), torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    steps = torch.tensor([[0.0], [0.2], [0.0], [0.1], [3.0]])
    begun = storage.begun(rows, steps)
    assert torch.equal(begun[steps > 0], steps[steps > 0])
    assert torch.equal(begun[[0, 2]], storage.first_step(rows)[[0, 2]])
    assert torch.equal(storage.encode_on(rows, steps), storage.encode_on(rows, begun))


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("step", [1e-6, 0.05, 30.0])
def test_codes_lie_on_the_step_to_nearest_and_are_cut_beyond(name: str, step: float) -> None:
    storage, rows = of(name), torch.randn(50, 7, generator=torch.Generator().manual_seed(1))
    steps = torch.full((50, 1), step).clamp(*storage.steps_within)
    found, kept = storage.decode(storage.encode_on(rows, steps), 7), storage.kept(steps)
    wanted = (rows / kept).round().clamp(-storage.greatest - 1, storage.greatest) * kept
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=float(kept[0]) * 1e-4)


@pytest.mark.parametrize("name", LEARNED)
def test_ends_of_steps_are_finite(name: str) -> None:
    storage = of(name)
    for step in storage.steps_within:
        found = storage.decode(storage.encode_on(torch.tensor([[3e38, -3e38]]), torch.tensor([[step]])), 2)
        torch.testing.assert_close(found, torch.tensor([[storage.greatest, -storage.greatest - 1.0]]) * step)
