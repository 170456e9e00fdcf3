from __future__ import annotations

import pytest
import torch

from pocketrec.compress.parts import row_thresholds
from pocketrec.compress.parts.row_thresholds import all_lengths, is_longer, lengths


def test_a_length_is_the_sum_of_magnitudes() -> None:
    rows = torch.tensor([[1.0, -2.0, 0.5], [0.0, 0.0, 0.0]], requires_grad=True)
    found = lengths(rows)
    assert found.tolist() == [3.5, 0.0]
    found.sum().backward()
    assert rows.grad is not None
    assert torch.equal(rows.grad, rows.detach().sign())


@pytest.mark.parametrize("dim", [1, 2, 7, 16, 64, 300])
def test_a_length_does_not_depend_on_the_company(dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch.randn(1000, dim, generator=torch.Generator().manual_seed(0))
    whole = lengths(rows)
    assert torch.equal(torch.cat([lengths(row[None]) for row in rows]), whole)
    assert torch.equal(lengths(rows[::3]), whole[::3])
    monkeypatch.setattr(row_thresholds, "_CHUNK_ROWS", 64)
    assert torch.equal(all_lengths(rows), whole)
    assert all_lengths(rows[:0]).shape == (0,)


def test_the_gradient_is_that_of_the_long_tailed_estimator() -> None:
    x = torch.tensor([-2.0, -1.0, -0.75, -0.4, -0.25, 0.0, 0.1, 0.4, 0.5, 1.0, 1.25])
    slope = torch.tensor([0.0, 0.4, 0.4, 0.4, 1.0, 2.0, 1.6, 0.4, 0.4, 0.4, 0.0])
    length, limit = (x + 3).requires_grad_(), torch.full_like(x, 3.0).requires_grad_()
    found = is_longer(length, limit)
    assert found.tolist() == [0.0] * 6 + [1.0] * 5, "as long as the threshold is not longer"
    factors = torch.linspace(-1, 1, len(x))
    (found * factors).sum().backward()
    assert length.grad is not None
    torch.testing.assert_close(length.grad, factors * slope, rtol=1e-5, atol=1e-6)
    assert torch.equal(limit.grad, -length.grad)
