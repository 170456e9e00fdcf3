from __future__ import annotations

import math

import pytest
import torch

from pocketrec.compress.parts import magnitude
from pocketrec.compress.parts.magnitude import SAMPLE, cut_at, kept_by, sample_places, threshold


def draw(rows: int, dim: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed))


def kept(rows: torch.Tensor, count: int, chunk_rows: int = 1) -> torch.Tensor:
    parts = list(kept_by(cut_at(rows, count), rows, chunk_rows))
    assert [first for first, _ in parts] == [sum(len(mask) for _, mask in parts[:i]) for i in range(len(parts))]
    assert all(first % chunk_rows == 0 for first, _ in parts)
    return torch.cat([mask for _, mask in parts])


@pytest.mark.parametrize("count", [1, 2, 50, 349, 350])
def test_the_largest_are_kept(count: int) -> None:
    rows = draw(50, 7)
    expected = torch.zeros(350, dtype=torch.bool)
    expected[rows.abs().flatten().topk(count).indices] = True
    assert torch.equal(kept(rows, count).flatten(), expected)


def test_of_like_magnitudes_the_first_are_kept() -> None:
    rows = torch.tensor([[0.0, 2.0, -1.0], [1.0, -0.0, 1.0], [-2.0, 1.0, 0.0]])
    assert kept(rows, 4).int().tolist() == [[0, 1, 1], [1, 0, 0], [1, 0, 0]]
    assert kept(rows, 7).int().tolist() == [[1, 1, 1], [1, 0, 1], [1, 1, 0]]
    assert kept(torch.zeros(3, 2), 3).int().tolist() == [[1, 1], [1, 0], [0, 0]]


def test_numbers_of_every_size_have_an_order() -> None:
    rows = torch.tensor([[1e-45, -1e-38, 65_504.0, math.inf, math.nan, -3e38, 1e-40, 0.0]])
    order = [4, 3, 5, 2, 1, 6, 0, 7]
    for count in range(1, 9):
        assert sorted(kept(rows, count)[0].nonzero()[:, 0].tolist()) == sorted(order[:count])


@pytest.mark.parametrize("chunk_rows", [1, 4, 64])
def test_parts_of_a_table_are_the_table(monkeypatch: pytest.MonkeyPatch, chunk_rows: int) -> None:
    rows = (draw(101, 5) * 4).round() / 4  # many like ones
    whole = {count: kept(rows, count) for count in (1, 77, 300, 505)}
    monkeypatch.setattr(magnitude, "_CHUNK_NUMBERS", 60)
    for count, expected in whole.items():
        assert int(expected.sum()) == count
        assert torch.equal(kept(rows, count, chunk_rows), expected)


@pytest.mark.parametrize("numbers", [1, SAMPLE - 1, SAMPLE, SAMPLE + 1, 3 * SAMPLE - 7, 10**9 + 7, 2**62 + 5])
def test_places_rise_and_stand_for_all(numbers: int) -> None:
    places = sample_places(numbers, seed=3)
    assert len(places) == min(numbers, SAMPLE)
    assert int(places[0]) >= 0
    assert int(places[-1]) < numbers
    assert (places.diff() > 0).all()
    if numbers > 10**6:  # evenly over the table: sum of SAMPLE uniforms, less than 5 standard errors off
        error = numbers / SAMPLE / math.sqrt(12 * SAMPLE)
        assert abs(float(places.double().mean()) - numbers / 2) < 5 * error
    assert torch.equal(places, sample_places(numbers, seed=3))
    assert torch.equal(places, sample_places(numbers, seed=4)) == (numbers <= SAMPLE)


def test_a_share_lies_below_its_threshold() -> None:
    sample = draw(1000, 1)[:, 0]
    for share in (0.0, 0.001, 0.2504, 0.5, 1.0):
        assert int((sample.abs() <= threshold(sample, share)).sum()) == round(1000 * share)


def test_a_sample_tells_the_threshold_of_all() -> None:
    rows = draw(20 * SAMPLE, 1)[:, 0]
    found = threshold(rows[sample_places(len(rows), seed=0)], 0.9)
    assert abs(float((rows.abs() <= found).float().mean()) - 0.9) < 5 * math.sqrt(0.09 / SAMPLE)
