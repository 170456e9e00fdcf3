from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec.compress import Bank, build, freeze, size
from pocketrec.compress.group import Group
from pocketrec.compress.learned_steps import (
    gradients,
    learned_step_of,
    read_on_steps,
    state_of_weights,
    steps_at,
    steps_of,
)
from pocketrec.compress.method import of as of_method
from pocketrec.compress.storage import STORAGES
from pocketrec.compress.storage._learned_step import LearnedStep
from pocketrec.spec.optimizer import OptimizerName, OptimizerSpec
from pocketrec.spec.table import TableSpec
from pocketrec.testing.cases import learn, random_batch, small_tables, zipf_stats

TABLES = [TableSpec(name="a", rows=40, dim=8), TableSpec(name="b", rows=20, dim=8)]
OPTIMIZERS: tuple[OptimizerName, ...] = ("sgd", "rowwise_adagrad", "adagrad", "adam")


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def of(name: str) -> LearnedStep:
    found = learned_step_of(STORAGES.get(name))
    assert found is not None
    return found


def made(optimizer: OptimizerSpec, storage: str = "lsq", method: str = "full", **options: Any) -> Bank:
    sizing = size(TABLES, "1x", method, storage=storage, init=0.5, optimizer=optimizer, **options)
    return build(sizing, seed=0)


def group_of(bank: Bank) -> Group:
    return bank.group_of("a")


def steps(bank: Bank) -> Tensor:
    return bank.tensors()["0.rows.step"]


def on_step(storage: LearnedStep, rows: Tensor, step: Tensor) -> Tensor:
    """LSQ's equations 1 and 2 in torch: rounding and the storing of the step count as the identity."""
    kept = step + (storage.kept(step) - step).detach()
    codes = (rows / kept).clamp(-storage.greatest - 1, storage.greatest)
    return (codes + (codes.round() - codes).detach()) * kept


@pytest.mark.parametrize("name", ["lsq", "lsq8"])
@pytest.mark.parametrize("size", [0.2, 1.0, 6.0])  # within the range, about its ends, mostly beyond them
def test_gradients_are_those_of_rounding_straight_through(name: str, size: float) -> None:
    storage = of(name)
    rows = (randn(60, 8) * size).requires_grad_()
    step = (torch.rand(60, 1, generator=torch.Generator().manual_seed(1)) + 0.5).div(storage.greatest).requires_grad_()
    upstream = randn(60, 8, seed=2)
    read = on_step(storage, rows, step)
    torch.testing.assert_close(
        read.detach(), read_on_steps(storage, torch.cat([rows, step], dim=1)).detach(), rtol=1e-5, atol=1e-5
    )
    of_rows, of_step = torch.autograd.grad(read, (rows, step), upstream)
    found = gradients(storage, upstream, rows.detach(), step.detach())
    torch.testing.assert_close(found[0], of_rows)
    torch.testing.assert_close(found[1] * math.sqrt(8 * storage.greatest), of_step, rtol=1e-4, atol=1e-4)


def test_a_step_against_finite_differences() -> None:
    """Numbers that all lie beyond the range follow its ends, whatever the step in a neighbourhood."""
    storage, rows, upstream = of("lsq8"), torch.tensor([[5.0, -9.0]]), torch.tensor([[2.0, -3.0]])

    def loss(step: float) -> float:
        return float((read_on_steps(storage, torch.tensor([[5.0, -9.0, step]])) * upstream).sum())

    of_rows, of_step = gradients(storage, upstream, rows, torch.tensor([[0.02]]))
    assert float(of_step) * math.sqrt(2 * 127) == pytest.approx((loss(0.03) - loss(0.01)) / 0.02, rel=1e-4)
    assert of_rows.tolist() == [[0.0, 0.0]]


def test_reading_hands_both_gradients_back() -> None:
    rows = torch.cat([randn(5, 4), torch.full((5, 1), 0.3)], dim=1).requires_grad_()
    upstream = randn(5, 4, seed=1)
    (found,) = torch.autograd.grad(of("lsq").seen(rows), rows, upstream)
    wanted = gradients(of("lsq"), upstream, rows.detach()[:, :4], rows.detach()[:, 4:])
    assert torch.equal(found, torch.cat(wanted, dim=1))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_moves_at_the_rate_of_its_row(name: OptimizerName) -> None:
    spec = OptimizerSpec(name=name, lr=0.01, eps=1e-6)
    bank, ids = made(spec), torch.tensor([[3, 5], [4, 5], [3, 6]])
    group, touched = group_of(bank), torch.tensor([3, 4, 45, 46])
    for step in range(1, 4):
        rows, before = bank.tensors()["0.rows"].clone(), steps(bank).clone()
        factors = randn(3, 2, 8, seed=step)
        dense = torch.zeros(60, 8).index_add_(0, (ids + torch.tensor([0, 40])).view(-1), factors.view(-1, 8))
        (bank(ids) * factors).sum().backward()
        bank.step()
        held = of("lsq").begun(rows, before[:, None])
        _, pulls = gradients(of("lsq"), dense, rows, held)
        state = [tensor.view(60, -1) for tensor in state_of_weights(group)]
        rate = {
            "sgd": lambda: torch.full((60, 1), 0.01),
            "rowwise_adagrad": lambda s=state: 0.01 / (s[0].sqrt() + 1e-6),
            "adagrad": lambda s=state: 0.01 / (s[0].mean(1, keepdim=True).sqrt() + 1e-6),
            "adam": lambda s=state, n=step: (
                0.01 * math.sqrt(1 - 0.999**n) / (1 - 0.9**n) / (s[1].mean(1, keepdim=True).sqrt() + 1e-6)
            ),
        }[name]()
        wanted = (held - rate * pulls)[touched, 0]
        torch.testing.assert_close(steps(bank)[touched], wanted, rtol=1e-5, atol=1e-7)
        assert (wanted - held[touched, 0]).abs().max() > 1e-5
        rest = torch.ones(60, dtype=torch.bool).index_fill_(0, touched, False)
        assert (steps(bank)[rest] == 0).all(), "what no batch touched has not begun"
        assert torch.equal(bank.tensors()["0.rows"][rest], rows[rest])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rows_move_as_they_would_without_steps(name: OptimizerName) -> None:
    """By the gradient of what was read, masked beyond the range."""
    spec = OptimizerSpec(name=name, lr=0.05)
    bank, plain, ids = made(spec), made(spec, storage="float32"), torch.tensor([[3, 5], [4, 7]])
    factors = randn(2, 2, 8)
    rows = plain.tensors()["0.rows"]
    reads, _ = gradients(of("lsq"), torch.ones(60, 8), rows, torch.zeros(60, 1))
    mask = reads[(ids + torch.tensor([0, 40])).view(-1)].view(2, 2, 8)
    (bank(ids) * factors).sum().backward()
    (plain(ids) * factors * mask).sum().backward()
    bank.step()
    plain.step()
    torch.testing.assert_close(bank.tensors()["0.rows"], rows)


def test_moves_of_a_step_are_bounded_and_it_stays_above_zero() -> None:
    bank, ids = made(OptimizerSpec(name="sgd", lr=1.0)), torch.tensor([[3, 5]])
    group_of(bank).tensor("rows").data[3] = torch.tensor([2.0, -2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    steps(bank)[3] = 0.01  # 2 and -2 lie beyond the range, so the row rests
    for wanted in (0.005, 0.0025):
        (bank(ids)[0, 0] * torch.tensor([1e4, -1e4, 0, 0, 0, 0, 0, 0])).sum().backward()  # smaller, it says
        bank.step()
        assert float(steps(bank)[3]) == pytest.approx(wanted)
    (bank(ids)[0, 0] * torch.tensor([-1e4, 1e4, 0, 0, 0, 0, 0, 0])).sum().backward()
    bank.step()
    first = float(of("lsq").first_step(bank.tensors()["0.rows"][3:4]))
    assert float(steps(bank)[3]) == pytest.approx(first), "to what the row would begin with"
    (bank(ids)[0, 0] * torch.tensor([-1e4, 1e4, 0, 0, 0, 0, 0, 0])).sum().backward()
    bank.step()
    assert float(steps(bank)[3]) <= 2 * first * 1.0001


def test_duplicates_and_accumulated_batches_are_summed() -> None:
    spec = OptimizerSpec(name="rowwise_adagrad", lr=0.05)
    once, twice = made(spec), made(spec)
    ids, factors = torch.tensor([[3, 5], [3, 5], [4, 5]]), randn(3, 2, 8)
    (once(ids) * factors).sum().backward()
    once.collect()
    assert once.pending[0].grads.shape == (3, 9)
    once.step()
    for part in (slice(0, 1), slice(1, 3)):
        (twice(ids[part]) * factors[part]).sum().backward()
        twice.collect()
    twice.step()
    torch.testing.assert_close(steps(once), steps(twice))
    torch.testing.assert_close(once.tensors()["0.rows"], twice.tensors()["0.rows"])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_of_nothing_moves_nothing(name: OptimizerName) -> None:
    bank = made(OptimizerSpec(name=name))
    before = {tensor: held.clone() for tensor, held in bank.tensors().items() if tensor != "steps"}
    bank(torch.empty(0, 2, dtype=torch.int64)).sum().backward()
    bank.step()
    assert all(torch.equal(held, bank.tensors()[tensor]) for tensor, held in before.items())


# What moves rows, and their steps with them: rows of hot ids, pages that become one; and a search.
@pytest.mark.parametrize("method", ["ada_embed", "autodim", "cafe", "cafe_plus", "dedup", "memcom", "mixed"])
@pytest.mark.parametrize("storage", ["lsq", "lsq8"])
def test_freezing_changes_no_vector_of_methods_that_move_rows(method: str, storage: str) -> None:
    tables = small_tables("rank")
    chosen = of_method(method, {"storage": storage, "init": 0.5})
    sizing = chosen.size(tables, 20_000, stats=zipf_stats(tables), optimizer=OptimizerSpec(lr=0.1))
    bank = build(sizing, seed=0)
    for number in range(4):
        learn(bank, random_batch(sizing, number))
    served, ids = freeze(bank), random_batch(sizing, 9).ids
    with torch.no_grad():
        assert torch.equal(bank.eval()(ids), served(ids))
    assert served.held_bytes() == served.sizing.serve_bytes


def test_steps_at_addresses_of_several_regions() -> None:
    found = steps_at([torch.tensor([1.0, 2.0]), torch.tensor([3.0])], torch.tensor([2, -1, 0]))
    assert found.tolist() == [[3.0], [0.0], [1.0]]


def test_steps_are_no_state_of_the_update() -> None:
    group = group_of(made(OptimizerSpec(name="adam")))
    assert len(group.state()) == 3
    assert [t.shape for t in state_of_weights(group)] == [(60, 8), (60, 8)]
    assert [t.shape for t in steps_of(group)] == [(60,)]


def test_rows_that_never_moved_serve_as_they_are_read() -> None:
    bank = made(OptimizerSpec(), "lsq")
    ids = torch.randint(20, (30, 2), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(bank(ids), freeze(bank)(ids))
    bank.reset_state()
    assert (steps(bank) == 0).all()


@pytest.mark.parametrize("method", ["tt_rec", "dhe", "robe"])
def test_what_is_not_read_by_the_row_is_trained_as_float32(method: str) -> None:
    bank = made(OptimizerSpec(), "lsq", method)
    ids = torch.tensor([[3, 5], [4, 7]])
    bank(ids).sum().backward()
    bank.step()
    served = freeze(bank)
    assert served.held_bytes() == served.sizing.serve_bytes


def test_torch_gradients_leave_steps_alone() -> None:
    bank = made(OptimizerSpec(name="sgd"))
    bank.gradient = "dense"
    bank(torch.tensor([[3, 5]])).sum().backward()
    grad = group_of(bank).tensor("rows").grad
    assert grad is not None
    assert grad.shape == (60, 8)
    assert grad[3].any()
    assert (steps(bank) == 0).all()
