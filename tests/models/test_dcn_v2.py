from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec.compress import build, size
from pocketrec.models import ModelConfig
from pocketrec.models.dcn_v2 import MODEL, CrossLayer, DcnV2
from pocketrec.spec.table import TableSpec
from pocketrec.testing.model_contract import ModelContract

DIM = 4


def model(dense: int, **options: Any) -> DcnV2:
    tables = [TableSpec(name=f"t{i}", rows=20, dim=MODEL.vector_dim(DIM)) for i in range(3)]
    config = ModelConfig(name="dcn_v2", **{"top": (7, 6), "cross_layers": 2, **options})
    return MODEL(build(size(tables, "1x", init=0.5), seed=0), dense_features=dense, config=config, seed=0)


def inputs(dense: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(2)
    return torch.randn(9, dense, generator=draw), torch.randint(20, (9, 3), generator=draw)


@pytest.mark.parametrize("dense", [5, 0])
@pytest.mark.parametrize("cross", ["stacked", "parallel"])
@pytest.mark.parametrize("rank", [None, 2])
def test_it_is_the_published_model(dense: int, cross: str, rank: int | None) -> None:
    """Row by row: equation (1) for every cross layer, then figure 1."""
    made = model(dense, cross=cross, cross_rank=rank)
    numbers, ids = inputs(dense)
    expected = []
    for i in range(9):
        vectors = [made.bank.rows(f"t{t}", int(ids[i, t]), int(ids[i, t]) + 1)[0] for t in range(3)]
        first = x = torch.cat([*vectors, numbers[i]])
        for layer in made.cross:
            assert isinstance(layer, CrossLayer)
            matrix = layer.wide.weight if layer.narrow is None else layer.wide.weight @ layer.narrow.weight
            x = first * (matrix @ x + layer.wide.bias) + x
        if cross == "stacked":
            expected.append(made.deep(x)[0])
        else:
            assert made.last is not None
            expected.append(made.last(torch.cat([x, made.deep(first)]))[0])
    torch.testing.assert_close(made(numbers, ids), torch.stack(expected))


def test_the_matrices_are_full_or_of_the_rank() -> None:
    width = 3 * DIM + 5
    full, low = model(5), model(5, cross_rank=2, cross_layers=4)
    assert [n for n in full.nets() if n.startswith("cross")] == [
        f"cross.{i}.wide.{p}" for i in range(2) for p in ("weight", "bias")
    ]
    assert full.nets()["cross.0.wide.weight"].shape == (width, width)
    assert len(low.cross) == 4
    assert low.nets()["cross.3.narrow.weight"].shape == (2, width)
    assert low.nets()["cross.3.wide.weight"].shape == (width, 2)


def test_a_stacked_model_without_a_deep_net_is_linear_in_the_crosses() -> None:
    made = model(0, top=())
    assert set(made.deep.state_dict()) == {"0.weight", "0.bias"}
    assert made(*inputs(0)).shape == (9,)


def test_one_cross_layer_multiplies_pairs() -> None:
    """With W the identity and b = 0, every number is squared and added: x0 * x0 + x0."""
    layer = CrossLayer(3, None, generator=torch.Generator())
    with torch.no_grad():
        layer.wide.weight.copy_(torch.eye(3))
        layer.wide.bias.zero_()
    x = torch.tensor([[1.0, -2.0, 3.0]])
    torch.testing.assert_close(layer(x, x), x * x + x)


class TestTheContractOfDcnV2(ModelContract):
    model = MODEL
    variants = ({}, {"cross": "parallel"}, {"cross_rank": 2, "cross_layers": 2})
