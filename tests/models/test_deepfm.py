from __future__ import annotations

from itertools import combinations

import pytest
import torch
from torch import Tensor

from pocketrec.compress import build, size
from pocketrec.models import ModelConfig
from pocketrec.models.deepfm import MODEL, DeepFm, pair_sum
from pocketrec.spec.table import TableSpec
from pocketrec.testing.model_contract import ModelContract

DIM = 4
SMALL = ModelConfig(name="deepfm", top=(7, 6))


def model(dense: int) -> DeepFm:
    tables = [TableSpec(name=f"t{i}", rows=20, dim=MODEL.vector_dim(DIM)) for i in range(3)]
    return MODEL(build(size(tables, "1x", init=0.5), seed=0), dense_features=dense, config=SMALL, seed=0)


def inputs(dense: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(2)
    return torch.randn(9, dense, generator=draw), torch.randint(20, (9, 3), generator=draw)


def row(made: DeepFm, table: int, token: int) -> Tensor:
    return made.bank.rows(f"t{table}", token, token + 1)[0]


@pytest.mark.parametrize("dense", [2, 1, 0])
def test_it_is_equations_1_to_4(dense: int) -> None:
    """Row by row: first-order weights, dot products of all pairs times both values, and the net over the vectors."""
    made = model(dense)
    numbers, ids = inputs(dense)
    expected = []
    for i in range(9):
        rows = [row(made, t, int(ids[i, t])) for t in range(3)]
        values, vectors, first = [1.0] * 3, [r[:DIM] for r in rows], torch.stack([r[-1] for r in rows]).sum()
        if dense:
            assert made.vectors is not None
            assert made.first_order is not None
            values += numbers[i].tolist()
            vectors += list(made.vectors)
            first = first + made.first_order.weight[0] @ numbers[i]
        pairs = [(vectors[a] @ vectors[b]) * values[a] * values[b] for a, b in combinations(range(len(vectors)), 2)]
        deep = made.deep(torch.cat([v * x for v, x in zip(vectors, values, strict=True)]))[0]
        expected.append(first + torch.stack(pairs).sum() + deep)
    torch.testing.assert_close(made(numbers, ids), torch.stack(expected))


def test_the_sum_over_pairs() -> None:
    vectors = torch.randn(5, 7, 3, generator=torch.Generator().manual_seed(0))
    expected = torch.stack([
        torch.stack([v[a] @ v[b] for a, b in combinations(range(7), 2)]).sum() for v in vectors
    ])  # fmt: skip
    torch.testing.assert_close(pair_sum(vectors), expected)
    assert pair_sum(vectors[:, :1]).abs().max() < 1e-6, "one vector has no pair"


def test_bags_are_one_vector_of_the_machine() -> None:
    made = model(0)
    rows = [row(made, 0, 3), row(made, 0, 4), row(made, 2, 5)]
    found = made(torch.zeros(1, 0), torch.tensor([3, 4, 5]), torch.tensor([0, 2, 2, 3]))
    bag = rows[0] + rows[1]
    deep = made.deep(torch.cat([bag[:DIM], torch.zeros(DIM), rows[2][:DIM]]))[0]
    torch.testing.assert_close(found[0], bag[-1] + rows[2][-1] + bag[:DIM] @ rows[2][:DIM] + deep)


def test_one_vector_per_dense_field_and_no_more() -> None:
    assert MODEL.vector_dim(8) == 9
    nets = model(2).nets()
    assert nets["vectors"].shape == (2, DIM)
    assert nets["first_order.weight"].shape == (1, 2)
    assert {name.split(".")[0] for name in nets} == {"vectors", "first_order", "deep"}
    assert {name.split(".")[0] for name in model(0).nets()} == {"deep"}


def test_it_starts_near_a_logit_of_nothing() -> None:
    """Criteo's shape: 26 fields and 13 logarithms of counts. The pairs alone must not predict anything yet."""
    tables = [TableSpec(name=f"t{i}", rows=30, dim=MODEL.vector_dim(16)) for i in range(26)]
    bank = build(size(tables, "1x", init=MODEL.table_init), seed=0)
    made = MODEL(bank, dense_features=13, config=SMALL, seed=0)
    draw = torch.Generator().manual_seed(2)
    dense, ids = 3 * torch.rand(500, 13, generator=draw), torch.randint(30, (500, 26), generator=draw)
    assert made.vectors is not None
    vectors = torch.cat([made.bank(ids)[:, :, :-1], dense[:, :, None] * made.vectors], dim=1)
    assert pair_sum(vectors).abs().mean() < 0.2


class TestTheContractOfDeepFm(ModelContract):
    model = MODEL
