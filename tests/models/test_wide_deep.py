from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pocketrec.compress import build, size
from pocketrec.models import ModelConfig
from pocketrec.models.wide_deep import MODEL, WideDeep
from pocketrec.spec.errors import OptionError
from pocketrec.spec.table import TableSpec
from pocketrec.testing.model_contract import ModelContract

DIM = 4
SMALL = ModelConfig(name="wide_deep", top=(7, 6))


def model(dense: int) -> WideDeep:
    tables = [TableSpec(name=f"t{i}", rows=20, dim=MODEL.vector_dim(DIM)) for i in range(3)]
    return MODEL(build(size(tables, "1x", init=0.5), seed=0), dense_features=dense, config=SMALL, seed=0)


def inputs(dense: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(2)
    return torch.randn(9, dense, generator=draw), torch.randint(20, (9, 3), generator=draw)


def row(made: WideDeep, table: int, token: int) -> Tensor:
    return made.bank.rows(f"t{table}", token, token + 1)[0]


@pytest.mark.parametrize("dense", [5, 0])
def test_it_is_equation_3(dense: int) -> None:
    """Row by row: w_wide x over ids and dense numbers, and the net over all vectors and dense numbers."""
    made = model(dense)
    numbers, ids = inputs(dense)
    expected = []
    for i in range(9):
        rows = [row(made, t, int(ids[i, t])) for t in range(3)]
        wide = torch.stack([r[-1] for r in rows]).sum()
        if dense:
            assert made.wide is not None
            wide = wide + made.wide.weight[0] @ numbers[i]
        expected.append(wide + made.deep(torch.cat([*(r[:DIM] for r in rows), numbers[i]]))[0])
    torch.testing.assert_close(made(numbers, ids), torch.stack(expected))


def test_a_first_order_weight_moves_its_rows_alone_and_by_as_much() -> None:
    made = model(5)
    numbers, ids = inputs(5)
    before = made(numbers, ids).detach()
    with torch.no_grad():
        made.bank.tensors()["0.rows"][int(ids[0, 0]), DIM] += 0.75  # table t0 stands first
    moved = ids[:, 0] == ids[0, 0]
    torch.testing.assert_close(made(numbers, ids).detach() - before, 0.75 * moved.float())


def test_bags_pool_the_weights_as_they_pool_the_vectors() -> None:
    made = model(0)
    rows = [row(made, 0, 3), row(made, 0, 4), row(made, 1, 5)]
    factors = torch.tensor([0.5, 0.5, 1.0])
    found = made(torch.zeros(1, 0), torch.tensor([3, 4, 5]), torch.tensor([0, 2, 3, 3]), factors)
    mean = (rows[0] + rows[1]) / 2
    vectors = torch.cat([mean[:DIM], rows[2][:DIM], torch.zeros(DIM)])
    torch.testing.assert_close(found[0], mean[-1] + rows[2][-1] + made.deep(vectors)[0])


def test_the_only_weights_per_id_are_those_of_the_bank() -> None:
    assert MODEL.vector_dim(8) == 9
    assert set(model(5).nets()) == {"wide.weight", *(f"deep.{i}.{p}" for i in (0, 2, 4) for p in ("weight", "bias"))}
    assert model(5).nets()["wide.weight"].shape == (1, 5)
    assert model(0).wide is None


def test_gradients_reach_every_part() -> None:
    made = model(5)
    made(*inputs(5)).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in made.dense_parameters())
    made.bank.collect()
    grads = made.bank.pending[0].grads
    assert grads[:, :DIM].any()
    assert (grads[:, DIM] >= 1).all(), "the logit grows by one with every weight"


def test_tables_without_room_for_a_weight_are_refused() -> None:
    bank = build(size([TableSpec(name="t", rows=5, dim=1)], "1x"), seed=0)
    with pytest.raises(OptionError, match="vector_dim"):
        MODEL(bank, dense_features=0, config=SMALL, seed=0)


class TestTheContractOfWideDeep(ModelContract):
    model = MODEL
