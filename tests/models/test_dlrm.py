from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pocketrec.compress import Bank, build, size
from pocketrec.models import ModelConfig
from pocketrec.models.dlrm import MODEL, Dlrm
from pocketrec.spec.table import TableSpec
from pocketrec.testing.model_contract import ModelContract

TABLES = [TableSpec(name=f"t{i}", rows=20, dim=4) for i in range(3)]
SMALL = ModelConfig(bottom=(8, 6), top=(7,))


def bank(**options: object) -> Bank:
    return build(size(TABLES, "1x", init=0.5, **options), seed=0)


def model(dense: int = 5, **options: object) -> Dlrm:
    return MODEL(bank(**options), dense_features=dense, config=SMALL, seed=0)


def inputs(dense: int = 5) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(2)
    return torch.randn(9, dense, generator=draw), torch.randint(20, (9, 3), generator=draw)


@pytest.mark.parametrize("dense", [5, 0])
def test_it_is_the_published_model(dense: int) -> None:
    """Figure 1, row by row: all dot products of different vectors once, after the dense vector."""
    made = model(dense)
    numbers, ids = inputs(dense)
    expected = []
    for row in range(9):
        vectors = [made.bank.rows(f"t{i}", int(ids[row, i]), int(ids[row, i]) + 1)[0] for i in range(3)]
        first: list[Tensor] = []
        if dense:
            assert made.bottom is not None
            first = [made.bottom(numbers[row])]
        vectors = [*first, *vectors]
        products = [vectors[i] @ vectors[j] for i in range(len(vectors)) for j in range(i)]
        expected.append(made.top(torch.cat([*first, torch.stack(products)]))[0])
    torch.testing.assert_close(made(numbers, ids), torch.stack(expected))


def test_every_pair_counts_once() -> None:
    assert model(5).top[0].in_features == 4 + 4 * 3 // 2
    assert model(0).top[0].in_features == 3 * 2 // 2
    assert model(0).bottom is None


def test_gradients_reach_nets_and_rows() -> None:
    made = model()
    made(*inputs()).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in made.dense_parameters() if p.dim() == 2)
    made.bank.collect()
    assert made.bank.pending[0].grads.any()


class TestTheContractOfDlrm(ModelContract):
    model = MODEL
