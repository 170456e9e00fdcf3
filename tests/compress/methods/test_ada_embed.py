from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec.compress import Bank, build, freeze, size
from pocketrec.compress.method import of
from pocketrec.compress.methods.ada_embed import METHOD
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.table import IdSpace, TableSpec
from pocketrec.testing.cases import random_batch
from pocketrec.testing.method_contract import MethodContract

DIM, HOT = 4, 6
TABLES = [TableSpec(name=name, rows=20, dim=DIM, ids="rank") for name in ("a", "b")]


class TestAdaEmbed(MethodContract):
    method = METHOD
    variants = ({}, {"every": 1, "change": 0.0})

    def test_values_come_from_the_seed_alone(self, variant: Mapping[str, Any], space: IdSpace) -> None:
        """All rows begin at zero, whatever the seed."""
        for tensor in self.bank(self.sized(variant, space), seed=5).tensors().values():
            assert not (tensor > 0).any()

    def test_starting_values_have_the_variance_that_init_says(self, variant: Mapping[str, Any]) -> None:
        """There is nothing to draw."""
        bank = self.bank(self.sized(variant, "plain", init=0.5))
        assert not bank(random_batch(bank.sizing, 1).ids).detach().any()


def made(**options: object) -> Bank:
    budget = 4 * 40 + 4 * DIM * HOT
    return build(size(TABLES, budget, "ada_embed", optimizer=OptimizerSpec(name="adam"), **options), seed=0)


def tell(bank: Bank, ids: list[int], step: int, *, importance: float = 1.0) -> None:
    group = bank.group_of("a")
    with torch.no_grad():
        group.method.after_step(
            group, step=step, ids=torch.tensor(ids), tables=torch.zeros(len(ids), dtype=torch.int64),
            importance=torch.full((len(ids),), importance),
        )  # fmt: skip


def owners(bank: Bank) -> list[int]:
    places: Tensor = bank.tensors()["0.map"]
    assert len(set(places[places >= 0].tolist())) == int((places >= 0).sum()), "nobody shares a row"
    return (places >= 0).nonzero()[:, 0].tolist()  # type: ignore[no-any-return]


def test_scores_are_counted_while_training_and_rows_numbers_always() -> None:
    bank = made()
    assert bank.sizing.serve_bytes == 4 * 40 + 4 * DIM * HOT
    assert bank.sizing.train_bytes == bank.sizing.serve_bytes + 4 * 40 + 2 * 4 * DIM * HOT
    assert freeze(bank).held_bytes() == bank.sizing.serve_bytes


def test_those_with_the_highest_scores_own_the_rows_and_begin_at_zero() -> None:
    bank = made(every=2, change=0.0, decay=1.0)
    tell(bank, [1, 2, 3], step=1)
    assert owners(bank) == [1, 2, 3]
    bank.tensors()["0.hot"].fill_(1.0)
    for tensor in bank.group_of("a").state():
        tensor.fill_(1.0)
    tell(bank, [*range(5, 11)] * 2, step=3)
    assert owners(bank) == [1, 2, 3], "no look at step 3"
    tell(bank, [5], step=4)
    assert owners(bank) == [*range(5, 11)]
    assert not bank.tensors()["0.hot"].any()
    assert not any(tensor.any() for tensor in bank.group_of("a").state())


def test_where_zero_vectors_have_no_gradient_frequent_ids_begin_with_drawn_rows() -> None:
    bank = made(every=100, change=0.0)
    tell(bank, [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7], step=1, importance=0.0)
    assert owners(bank) == [1, 2, 3, 4, 5, 6]
    hot = bank.tensors()["0.hot"]
    assert (hot != 0).all()
    assert hot.abs().max() <= HOT**-0.5
    before = hot.clone()
    tell(bank, [7, 8, 9], step=2, importance=0.0)
    assert owners(bank) == [1, 2, 3, 4, 5, 6], "they have something to learn from now"
    assert torch.equal(hot, before)


def test_a_model_of_products_alone_learns() -> None:
    """Two tables, logit = the product of their vectors: zero vectors would stay zero for ever."""
    bank = made(every=5, change=0.0)
    ids = torch.tensor([[a, b] for a in (1, 2, 3) for b in (1, 2, 3)])
    labels = torch.tensor([float((a + b) % 2) for a, b in ids.tolist()])

    def loss() -> Tensor:
        return torch.nn.functional.binary_cross_entropy_with_logits(bank(ids).prod(1).sum(1), labels)

    first = float(loss().detach())
    bank.discard()
    for _ in range(150):
        loss().backward()
        bank.step(lr=0.05)
    assert float(loss().detach()) < 0.5 * first


def test_a_small_change_is_not_made() -> None:
    bank = made(every=1, change=0.5, decay=1.0)
    tell(bank, [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 5, 6], step=1)
    assert owners(bank) == [1, 2, 3, 4, 5, 6]
    tell(bank, [7] * 9, step=2)
    assert owners(bank) == [1, 2, 3, 4, 5, 6]
    tell(bank, [8] * 9 + [9] * 9, step=3)
    assert set(owners(bank)) >= {7, 8, 9}


def test_scores_decay() -> None:
    bank = made(every=2, decay=0.5)
    tell(bank, [1], step=1)
    assert float(bank.tensors()["0.scores"].sum()) == 1
    tell(bank, [1], step=2)
    assert float(bank.tensors()["0.scores"].sum()) == 1


def test_cold_ids_are_zero_vectors() -> None:
    bank = made()
    assert not bank(torch.tensor([[3, 4]])).detach().any()


@pytest.mark.parametrize("options", [{"every": 0}, {"change": -0.1}, {"change": 1.1}, {"decay": 0.0}])
def test_options_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        of("ada_embed", options)
