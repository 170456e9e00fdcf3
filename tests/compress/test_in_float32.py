from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pocketrec.compress import Bank, build, freeze, size
from pocketrec.compress.embedding_bag import EmbeddingBag
from pocketrec.compress.group import Group
from pocketrec.compress.in_float32 import float32_weights, in_float32
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.table import TableSpec

TABLES = [TableSpec(name="a", rows=50, dim=8), TableSpec(name="b", rows=20, dim=8)]
TRAINED = ("bfloat16_trained", "float16_trained", "int8_trained")


def bank_of(storage: str, method: str = "full", optimizer: str = "sgd") -> Bank:
    spec = OptimizerSpec(name=optimizer, lr=0.1)  # type: ignore[arg-type]
    return build(size(TABLES, "1x", method, storage=storage, init=0.5, optimizer=spec), seed=3)


def group_of(bank: Bank) -> Group:
    return bank.group_of("a")


def learned(bank: Bank, steps: int = 3) -> Bank:
    for step in range(steps):
        draw = torch.Generator().manual_seed(step)
        ids = torch.randint(20, (16, 2), generator=draw)
        (bank(ids) * torch.randn(16, 2, 8, generator=draw)).sum().backward()
        bank.step()
    return bank


def test_float32_groups_are_yielded_as_they_are() -> None:
    group = group_of(bank_of("float32"))
    with in_float32(group) as plain:
        assert plain is group
    assert float32_weights(group, "rows").data_ptr() == group.tensor("rows").data_ptr()


@pytest.mark.parametrize("storage", TRAINED)
def test_what_is_written_is_encoded(storage: str) -> None:
    group = group_of(bank_of(storage))
    before = group.tensor("rows").clone()
    with torch.no_grad(), in_float32(group) as plain:
        rows = plain.tensor("rows")
        assert rows.dtype is torch.float32
        assert torch.equal(rows, float32_weights(group, "rows"))
        rows[7] = torch.linspace(-1, 1, 8)
    after = group.tensor("rows")
    assert torch.equal(after[:7], before[:7])
    assert torch.equal(after[8:], before[8:])
    torch.testing.assert_close(float32_weights(group, "rows")[7], torch.linspace(-1, 1, 8), rtol=0, atol=0.005)


@pytest.mark.parametrize("storage", TRAINED)
def test_values_start_as_those_of_float32_rounded(storage: str) -> None:
    ours = float32_weights(group_of(bank_of(storage)), "rows")
    exact = group_of(bank_of("float32")).tensor("rows").detach()
    torch.testing.assert_close(ours, exact, rtol=0, atol=0.003)
    assert ours.abs().max() > 0.4


@pytest.mark.parametrize("storage", TRAINED)
def test_training_takes_the_bytes_of_the_storage(storage: str) -> None:
    row_bytes = 8 + 8 if storage == "int8_trained" else 8 * 2
    assert size(TABLES, "1x", storage=storage).train_bytes == 70 * (row_bytes + 4), "and row-wise Adagrad's sum"
    converted = size(TABLES, "1x", storage=storage.removesuffix("_trained"))
    assert converted.train_bytes == 70 * (32 + 4)
    assert converted.serve_bytes == size(TABLES, "1x", storage=storage).serve_bytes


def test_shared_arrays_of_int8_are_trained_in_float32() -> None:
    group = group_of(learned(bank_of("int8_trained", "robe", "rowwise_adagrad")))
    assert group.tensor("array").dtype is torch.float32
    assert group_of(bank_of("bfloat16_trained", "robe")).tensor("array").dtype is torch.bfloat16


@pytest.mark.parametrize("storage", TRAINED)
def test_freezing_changes_no_bit(storage: str) -> None:
    bank = learned(bank_of(storage))
    served = freeze(bank)
    assert torch.equal(bits(served.tensors()["0.rows"]), bits(bank.tensors()["0.rows"]))
    ids = torch.arange(20)[:, None].expand(-1, 2).contiguous()
    with torch.no_grad():
        assert torch.equal(served(ids), bank.eval()(ids))


@pytest.mark.parametrize("storage", TRAINED)
@pytest.mark.parametrize("optimizer", ["sgd", "rowwise_adagrad", "adagrad", "adam"])
def test_learning_stays_near_that_in_float32(storage: str, optimizer: str) -> None:
    ours = float32_weights(group_of(learned(bank_of(storage, optimizer=optimizer))), "rows")
    exact = group_of(learned(bank_of("float32", optimizer=optimizer))).tensor("rows").detach()
    started = group_of(bank_of("float32", optimizer=optimizer)).tensor("rows").detach()
    assert (exact - started).abs().max() > 0.05
    torch.testing.assert_close(ours, exact, rtol=0, atol=0.05)


def test_codes_have_no_gradient_for_torch() -> None:
    bank = bank_of("int8_trained")
    ids = torch.zeros(2, 2, dtype=torch.int64)
    for gradient in ("sparse", "dense"):
        bank.gradient = gradient  # type: ignore[assignment]
        with pytest.raises(OptionError, match=r'Rows of storage int8_trained are codes.*bank\.gradient at "pairs"'):
            bank(ids)
    with torch.no_grad():
        assert bank(ids).shape == (2, 2, 8)
    halves = bank_of("bfloat16_trained")
    halves.gradient = "dense"
    halves(ids).sum().backward()
    grad = group_of(halves).tensor("rows").grad
    assert grad is not None
    assert grad.dtype is torch.bfloat16


def bits(tensor: Tensor) -> Tensor:
    return tensor.contiguous().view(torch.uint8)


@pytest.mark.parametrize("storage", TRAINED)
def test_a_drop_in_bag_starts_and_learns(storage: str) -> None:
    bag = EmbeddingBag(20, 8, mode="sum", method="full", storage=storage, fused=True, padding_idx=3)
    before = bag.table()
    assert not before[3].any()
    assert 0.8 < float(before.std()) < 1.2, "N(0, 1), as torch's"
    bag(torch.tensor([[4, 5, 3]])).sum().backward()
    bag.step(lr=0.5)
    moved = (bag.table() != before).any(dim=1)
    assert moved.nonzero()[:, 0].tolist() == [4, 5]
    weight = torch.randn(20, 8, generator=torch.Generator().manual_seed(1))
    taken = EmbeddingBag.from_pretrained(weight, storage=storage)
    torch.testing.assert_close(taken.table(), weight, rtol=0.01, atol=0.02)
    if storage == "int8_trained":
        with pytest.raises(OptionError, match="are codes; ask table"):
            _ = bag.weight
