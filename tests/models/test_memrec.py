from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec.artifact.export import export_program
from pocketrec.compress import Bank, build, freeze, size
from pocketrec.models import ModelConfig
from pocketrec.models.memrec import MODEL, MemRec
from pocketrec.spec.table import TableSpec
from pocketrec.testing.model_contract import ModelContract

DIM = 4
SMALL = ModelConfig(name="memrec", bottom=(9,), top=(7, 6))


def bloom(**options: Any) -> Bank:
    tables = [TableSpec(name=f"t{i}", rows=None, dim=DIM, ids="hash63") for i in range(3)]
    bank = build(size(tables, 2000, "bloom", **options), seed=0)
    draw = torch.Generator().manual_seed(1)
    for name, tensor in bank.tensors().items():
        if name in ("0.tokens", "1.weights"):
            tensor.normal_(generator=draw)
    return bank


def model(bank: Bank, dense: int = 5) -> MemRec:
    return MODEL(bank, dense_features=dense, config=SMALL, seed=0)


def inputs(dense: int = 5) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(2)
    return torch.randn(9, dense, generator=draw), torch.randint(10**9, (9, 3), generator=draw)


@pytest.mark.parametrize("dense", [5, 0])
@pytest.mark.parametrize("options", [{}, {"hashes": 3, "weight_hashes": 2}, {"weight_hashes": 0}])
def test_it_is_the_published_network(dense: int, options: dict[str, Any]) -> None:
    """Row by row: [bottom net, (sum of weights) x (sum of vectors)] through the top net."""
    bank = bloom(**options)
    made, (numbers, ids) = model(bank, dense), inputs(dense)
    for row in range(9):
        looked_up = [g.lookup(ids[row : row + 1], None, None, "none")[0].sum(dim=0) for g in bank.groups]
        z = looked_up[0] if len(looked_up) == 1 else looked_up[0] * looked_up[1]
        together = z if made.bottom is None else torch.cat([made.bottom(numbers[row]), z])
        torch.testing.assert_close(made(numbers, ids)[row], made.top(together)[0])


def test_over_any_other_bank_it_is_the_sum() -> None:
    tables = [TableSpec(name=f"t{i}", rows=20, dim=DIM) for i in range(3)]
    bank = build(size(tables, "1x", init=0.5), seed=0)
    made, (numbers, ids) = model(bank), inputs()
    assert made.bottom is not None
    together = torch.cat([made.bottom(numbers), bank(ids % 20).sum(dim=1)], dim=1)
    torch.testing.assert_close(made(numbers, ids % 20), made.top(together)[:, 0])


def test_the_published_widths() -> None:
    """13-512-256-128 below, 256 into 1024-1024-512-256-1 above."""
    tables = [TableSpec(name=f"C{i}", rows=None, dim=128, ids="hash63") for i in range(26)]
    config = ModelConfig(name="memrec", bottom=(512, 256), top=(1024, 1024, 512, 256))
    bank = build(size(tables, 38_700_000, "bloom"), seed=0, device="meta")
    with torch.device("meta"):
        nets = MODEL(bank, dense_features=13, config=config, seed=0).nets()
    shapes = [tuple(t.shape) for name, t in nets.items() if name.endswith("weight")]
    assert shapes == [
        (512, 13), (256, 512), (128, 256), (1024, 256), (1024, 1024), (512, 1024), (256, 512), (1, 256),
    ]  # fmt: skip
    assert bank.sizing.serve_bytes == 38_700_000


def test_values_of_bags_count_one_by_one() -> None:
    """Two ids in one bag are what they would be in two fields of one table."""
    made = model(bloom()).eval()
    numbers, first = torch.zeros(1, 5), made.bank
    ids, offsets = torch.tensor([3, 4, 4, 5]), torch.tensor([0, 3, 4, 4])
    grid = torch.tensor([[3, 5, 0], [4, 5, 0]])
    tokens, weights = (g.lookup(grid, None, None, "none").detach() for g in first.groups)
    z = (tokens[0, 0] + 2 * tokens[1, 0] + tokens[0, 1]) * (weights[0, 0] + 2 * weights[1, 0] + weights[0, 1])
    assert made.bottom is not None
    expected = made.top(torch.cat([made.bottom(numbers)[0], z]))[0]
    torch.testing.assert_close(made(numbers, ids, offsets)[0], expected)


def test_both_tables_learn() -> None:
    made = model(bloom())
    made(*inputs()).sum().backward()
    made.bank.collect()
    assert set(made.bank.pending) == {0, 1}
    assert all(pairs.grads.any() for pairs in made.bank.pending.values())


def test_frozen_it_scores_alike() -> None:
    made = model(bloom()).eval()
    served = made.with_bank(freeze(made.bank))
    with torch.no_grad():
        assert torch.equal(served(*inputs()), made(*inputs()))


@pytest.mark.parametrize("bags", [False, True])
def test_its_program_scores_alike(bags: bool) -> None:
    made = model(bloom(hashes=2)).eval()
    served = made.with_bank(freeze(made.bank))
    numbers, ids = inputs()
    given: tuple[Tensor, ...] = (numbers, ids)
    if bags:
        given = (numbers, torch.cat([ids.T.reshape(-1), ids[:2, 0]]), torch.tensor([*range(27), 29]))
    program = export_program(served, bags=bags).module()
    torch.testing.assert_close(program(*given), served(*given).detach(), rtol=1e-5, atol=1e-6)


class TestTheContractOfMemRec(ModelContract):
    model = MODEL
