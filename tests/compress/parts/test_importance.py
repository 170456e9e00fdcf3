from __future__ import annotations

import pytest
import torch

from pocketrec.compress.parts.importance import normalised


def test_importance_has_mean_one_per_table_whatever_the_loss_is_multiplied_by() -> None:
    draw = torch.Generator().manual_seed(0)
    tables = torch.randint(3, (500,), generator=draw)
    importance = torch.rand(500, generator=draw) * torch.tensor([1.0, 100.0, 1e-4])[tables]
    scores = normalised(importance, tables, 4)
    for table in range(3):
        assert float(scores[tables == table].mean()) == pytest.approx(1.0, rel=1e-5)
    assert torch.equal(normalised(importance * 1024, tables, 4), scores)
    torch.testing.assert_close(normalised(importance * 3e20, tables, 4), scores)


def test_a_table_without_gradients_has_no_importance() -> None:
    tables = torch.tensor([0, 0, 1])
    assert normalised(torch.tensor([0.0, 0.0, 2.0]), tables, 3).tolist() == [0.0, 0.0, 1.0]
    assert normalised(torch.empty(0), tables[:0], 3).shape == (0,)
