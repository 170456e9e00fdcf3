"""One step is all or nothing, clips what it trains together, and touches only what its batch touches."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec.compress import build
from pocketrec.models import Model
from pocketrec.spec.errors import IdError, NotFinite
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.stage import Stage
from pocketrec.train.optim import dense_optimizer
from pocketrec.train.state import parts_of
from pocketrec.train.step import loss_of, train_step

BOTH = Stage(name="both")
WHERE = "Stage both, epoch 2, batch 17"
OPTIMIZERS = ("sgd", "rowwise_adagrad", "adagrad", "adam")


class Bench:
    """A model, its optimizer and batches, ready for single steps."""

    def __init__(self, planted: ModuleType, sizing: Any = None, **config: Any) -> None:
        self.planted, self.config = planted, planted.config(**config)
        self.sizing = sizing or planted.sizing(optimizer=OptimizerSpec(lr=0.1, l2=0.01))
        self.model: Model = planted.make_model(build(self.sizing, seed=0)).train()
        self.optimizer = dense_optimizer(self.model.dense_parameters(), self.config)
        self.log = planted.clicks(400, seed=5, rows=[t.table.rows for t in self.sizing.groups[0].tables])

    def batch(self, number: int = 0, rows: int = 30) -> Any:
        return self.log.pick(torch.arange(number * rows, (number + 1) * rows))

    def step(self, batch: Any, stage: Stage = BOTH) -> float:
        return train_step(self.model, self.optimizer, batch, self.config, stage, where=WHERE)

    def tensors(self) -> dict[str, Tensor]:
        parts = parts_of(self.model, self.optimizer)
        return {f"{part}.{name}": t.clone() for part, found in parts.items() for name, t in found.items()}

    def changed(self, before: dict[str, Tensor]) -> set[str]:
        """Names of tensors of which a bit is different now (NaN are equal to themselves)."""
        now = self.tensors()
        assert now.keys() == before.keys()
        return {n for n, t in now.items() if not torch.equal(_bits(t), _bits(before[n]))}


def _bits(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1).view(torch.uint8)


def spoil_loss(bench: Bench) -> None:
    bench.log = dataclasses.replace(bench.log, dense=bench.log.dense.clone())
    bench.log.dense[4, 1] = float("nan")


def spoil_dense_gradient(value: float) -> Callable[[Bench], None]:
    def spoil(bench: Bench) -> None:
        weight = bench.model.dense_parameters()[0]
        weight.register_hook(lambda grad: torch.full_like(grad, value))

    return spoil


def spoil_row_gradient(value: float) -> Callable[[Bench], None]:
    def spoil(bench: Bench) -> None:
        def on_way_back(module: Any, inputs: Any, output: Tensor) -> None:
            output.register_hook(lambda grad: torch.where(torch.arange(len(grad))[:, None, None] == 3, value, grad))

        bench.model.bank.register_forward_hook(on_way_back)

    return spoil


SPOILS = {
    "the loss": spoil_loss,
    "a dense gradient is NaN": spoil_dense_gradient(math.nan),
    "a dense gradient is infinite": spoil_dense_gradient(math.inf),
    "a row gradient is NaN": spoil_row_gradient(math.nan),
    "a row gradient is infinite": spoil_row_gradient(-math.inf),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_what_is_not_finite_changes_nothing_and_names_the_batch(
    planted: ModuleType, spoil: Callable[[Bench], None], optimizer: str
) -> None:
    kinds = {"sgd": "sgd", "rowwise_adagrad": "adam", "adagrad": "adagrad", "adam": "adam"}
    spec = OptimizerSpec(name=optimizer, lr=0.1, l2=0.1)
    sized = planted.sizing("narrow", optimizer=spec, budget=600, widen=True)
    bench = Bench(planted, sized, dense_optimizer=kinds[optimizer])
    assert bench.model.bank.matrices(), "no small matrix of the bank is among the dense parameters"
    bench.step(bench.batch(1))
    before = bench.tensors()
    spoil(bench)
    with pytest.raises(NotFinite, match=WHERE):
        bench.step(bench.batch(0))
    assert bench.changed(before) == set()
    assert not bench.model.bank.pending
    assert all(p.grad is None for p in bench.model.dense_parameters())


def test_after_a_refusal_the_next_step_is_as_if_the_batch_had_not_been(planted: ModuleType) -> None:
    first, second = Bench(planted), Bench(planted)
    good, bad = first.batch(1), first.batch(0)
    bad.dense[2, 0] = math.inf
    with pytest.raises(NotFinite):
        first.step(bad)
    assert first.step(good) == second.step(good)
    assert first.changed(second.tensors()) == set()


def test_an_id_that_a_table_does_not_have_changes_nothing(planted: ModuleType) -> None:
    bench = Bench(planted)
    before, batch = bench.tensors(), bench.batch()
    batch.ids[3, 1] = -5
    with pytest.raises(IdError):
        bench.step(batch)
    assert bench.changed(before) == set()


@pytest.mark.parametrize(
    ("field", "said"),
    [("dense", "Row 6 .* dense numbers"), ("label", "Row 6 .* a label"), ("weight", "Row 6 .* a weight")],
)
def test_the_error_says_where_to_look(planted: ModuleType, field: str, said: str) -> None:
    bench = Bench(planted)
    batch = dataclasses.replace(bench.batch(), weight=torch.ones(30))
    getattr(batch, field)[6] = math.nan
    with pytest.raises(NotFinite, match=said):
        bench.step(batch)


def test_finite_inputs_point_to_the_learning_rate(planted: ModuleType) -> None:
    bench = Bench(planted)
    spoil_dense_gradient(math.inf)(bench)
    with pytest.raises(NotFinite, match=r"norm of the gradients is .*lower the learning rates, or set clip_norm"):
        bench.step(bench.batch())


# -- clipping ------------------------------------------------------------------------------------------------------


def gradients(bench: Bench, batch: Any) -> tuple[list[Tensor], dict[int, Any]]:
    """Dense gradients and pairs of one batch, by the plain way of the bank."""
    loss_of(bench.model(batch.dense, batch.ids), batch).backward()
    bench.model.bank.collect()
    dense = [p.grad.clone() for p in bench.model.dense_parameters()]
    pairs = dict(bench.model.bank.pending)
    bench.model.bank.discard()
    bench.optimizer.zero_grad()
    return dense, pairs


def global_norm(dense: list[Tensor], pairs: dict[int, Any]) -> float:
    every = [*dense, *(p.grads for p in pairs.values())]
    return math.sqrt(sum(float(g.double().square().sum()) for g in every))


@pytest.mark.parametrize("share", [0.25, 4.0])
def test_clipping_scales_nets_and_rows_by_one_factor(planted: ModuleType, share: float) -> None:
    # plain SGD: the change of every weight is -lr x its gradient, so the factor can be read off
    sized = planted.sizing(optimizer=OptimizerSpec(name="sgd", lr=0.5))
    bench = Bench(planted, sized, dense_optimizer="sgd", dense_lr=0.25)
    dense, pairs = gradients(bench, bench.batch())
    norm = global_norm(dense, pairs)
    assert norm > max(math.sqrt(sum(float(g.square().sum()) for g in dense)), float(pairs[0].grads.norm()))
    bench.config = planted.config(dense_optimizer="sgd", dense_lr=0.25, clip_norm=share * norm)
    before = bench.tensors()
    bench.step(bench.batch())
    factor, after = min(1.0, share), bench.tensors()
    for (name, _), gradient in zip(bench.model.nets().items(), dense, strict=True):
        moved = after[f"nets.{name}"] - before[f"nets.{name}"]
        torch.testing.assert_close(moved, -0.25 * factor * gradient, rtol=1e-4, atol=1e-7)
    moved = (after["bank.0.rows"] - before["bank.0.rows"])[pairs[0].addresses]
    torch.testing.assert_close(moved, -0.5 * factor * pairs[0].grads, rtol=1e-4, atol=1e-7)


def test_clipping_measures_what_the_stage_trains(planted: ModuleType) -> None:
    sized = planted.sizing(optimizer=OptimizerSpec(name="sgd", lr=0.5))
    bench = Bench(planted, sized)
    _, pairs = gradients(bench, bench.batch())
    rows_norm = float(pairs[0].grads.norm())
    bench.config, before = planted.config(clip_norm=rows_norm * 1.001), bench.tensors()
    bench.step(bench.batch(), Stage(name="tables", dense=False))
    moved = (bench.tensors()["bank.0.rows"] - before["bank.0.rows"])[pairs[0].addresses]
    torch.testing.assert_close(moved, -0.5 * pairs[0].grads)


# -- L2, weights, stages, precision --------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_l2_pulls_only_rows_that_were_looked_up(planted: ModuleType, optimizer: str) -> None:
    with_l2, without = (
        Bench(planted, planted.sizing(optimizer=OptimizerSpec(name=optimizer, lr=0.1, l2=l2))) for l2 in (0.5, 0.0)
    )
    before = with_l2.tensors()["bank.0.rows"]
    batch = with_l2.batch(rows=10)
    for bench in (with_l2, without):
        bench.step(batch)
    starts = torch.tensor([0, *planted.ROWS]).cumsum(0)[:-1]
    touched = torch.zeros(sum(planted.ROWS), dtype=torch.bool)
    touched[(batch.ids + starts).flatten()] = True
    assert 0 < touched.sum() < len(touched)
    after, plain = with_l2.tensors()["bank.0.rows"], without.tensors()["bank.0.rows"]
    assert torch.equal((after != before).any(dim=1), touched)
    assert torch.equal((after != plain).any(dim=1), touched)


def test_l2_is_the_published_gradient(planted: ModuleType) -> None:
    bench = Bench(planted, planted.sizing(optimizer=OptimizerSpec(name="sgd", lr=0.1, l2=0.5)))
    _, pairs = gradients(bench, bench.batch())
    before = bench.tensors()["bank.0.rows"]
    bench.step(bench.batch())
    at = pairs[0].addresses
    expected = before[at] - 0.1 * (pairs[0].grads + 0.5 * before[at])
    torch.testing.assert_close(bench.tensors()["bank.0.rows"][at], expected)


def test_a_weight_of_two_is_the_row_twice(planted: ModuleType) -> None:
    weighted, doubled = Bench(planted), Bench(planted)
    batch = weighted.batch()
    twice = torch.cat([torch.arange(30), torch.arange(10)])
    weight = torch.ones(30)
    weight[:10] = 2
    first = weighted.step(dataclasses.replace(batch, weight=weight))
    second = doubled.step(batch.pick(twice))
    assert first == pytest.approx(second, rel=1e-6)
    for name, tensor in weighted.tensors().items():
        torch.testing.assert_close(tensor, doubled.tensors()[name], rtol=1e-3, atol=2e-5)
    assert first != pytest.approx(Bench(planted).step(batch), rel=1e-4)


def test_weights_of_zero_teach_nothing(planted: ModuleType) -> None:
    sized = planted.sizing(optimizer=OptimizerSpec(name="sgd", lr=0.5))
    bench = Bench(planted, sized, dense_optimizer="sgd")
    before = bench.tensors()
    assert bench.step(dataclasses.replace(bench.batch(), weight=torch.zeros(30))) == 0
    assert bench.changed(before) == {"bank.steps"}


@pytest.mark.parametrize("tables", [True, False])
@pytest.mark.parametrize("dense", [True, False])
def test_a_stage_trains_what_it_says(planted: ModuleType, tables: bool, dense: bool) -> None:
    bench = Bench(planted)
    bench.step(bench.batch(1))
    before = bench.tensors()
    bench.step(bench.batch(2), Stage(name="some", tables=tables, dense=dense))
    parts = {name.split(".")[0] for name in bench.changed(before)}
    assert parts == ({"bank"} if tables else set()) | ({"nets", "optimizer"} if dense else set())
    assert not bench.model.bank.pending


def test_bfloat16_stays_near_float32(planted: ModuleType) -> None:
    half, full = Bench(planted, precision="bfloat16"), Bench(planted)
    pairs = [(half.step(half.batch(n % 10)), full.step(full.batch(n % 10))) for n in range(40)]
    assert any(a != b for a, b in pairs), "the products were not made in bfloat16"
    assert max(abs(a - b) for a, b in pairs) < 0.03
    assert pairs[-1][0] < 0.8 * pairs[0][0]
    types = {t.dtype for name, t in half.tensors().items() if name != "bank.steps"}
    assert types == {torch.float32}, "weights, rows and states stay float32"
    for name, tensor in half.tensors().items():
        if name.startswith(("nets.", "bank.")):
            expected = full.tensors()[name].double()
            assert (tensor - expected).norm() < 0.2 * expected.norm(), name


# -- a step costs what its batch touches ---------------------------------------------------------------------------


def allocations(bench: Bench, batch: Any) -> list[int]:
    """Bytes of every tensor memory that a step takes, sorted."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiler:
        bench.step(batch)
    assert profiler.profiler is not None
    events = profiler.profiler.kineto_results.events()
    return sorted(e.nbytes() for e in events if e.name() == "[memory]" and e.nbytes() > 0)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_costs_what_its_batch_touches(planted: ModuleType, optimizer: str) -> None:
    small, large = planted.ROWS, tuple(100 * n for n in planted.ROWS)
    spec = OptimizerSpec(name=optimizer, lr=0.1, l2=0.01)
    benches = [
        Bench(planted, planted.sizing(rows=rows, optimizer=spec), dense_optimizer="adam") for rows in (small, large)
    ]
    ids = benches[0].log  # the same ids for both; the larger tables draw other ones
    for bench in benches:
        bench.log = ids
        for number in range(3):  # first steps make the state of the dense optimizer
            bench.step(bench.batch(number))
    before = [bench.tensors() for bench in benches]
    found = [allocations(bench, bench.batch(3)) for bench in benches]
    assert found[0] == found[1], "what a step takes depends on the rows of the tables"
    assert found[1][-1] < before[1]["bank.0.rows"].nbytes / 2
    assert _touched(benches[0], before[0], small) == _touched(benches[1], before[1], large)


def _touched(bench: Bench, before: dict[str, Tensor], rows: tuple[int, ...]) -> dict[str, set[tuple[int, int]]]:
    """Per tensor of the bank: (table, id) of every row of which a bit changed; exactly those of the batch."""
    after, places = bench.tensors(), [(table, i) for table, count in enumerate(rows) for i in range(count)]
    batch = {(table, i) for ids in bench.batch(3).ids.tolist() for table, i in enumerate(ids)}
    found = {}
    for name, tensor in after.items():
        if name.startswith("bank.0."):
            moved = (tensor != before[name]).reshape(len(places), -1).any(dim=1).nonzero()[:, 0]
            found[name] = {places[i] for i in moved.tolist()}
            assert found[name] == batch, name
    return found


def test_the_measure_of_allocations_sees_a_sweep_over_a_table(planted: ModuleType) -> None:
    # the test of the test: an L2 over all rows, as a dense gradient would make it
    bench = Bench(planted, planted.sizing(rows=tuple(100 * n for n in planted.ROWS)))
    table = bench.model.bank.tensors()["0.rows"]
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiler:
        table.sub_(table * 0.1)
    events = profiler.profiler.kineto_results.events()
    assert max(e.nbytes() for e in events if e.name() == "[memory]") == table.nbytes


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_logits_told_are_those_from_before_the_step(planted: ModuleType, precision: str) -> None:
    bench, told = Bench(planted, precision=precision), []
    batch = bench.batch()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        before = bench.model(batch.dense, batch.ids).float()
    arguments = (bench.model, bench.optimizer, batch, bench.config, BOTH)
    loss = train_step(*arguments, where=WHERE, predicted=told.append)
    assert (told[0].dtype, told[0].requires_grad) == (torch.float32, False)
    torch.testing.assert_close(told[0], before, rtol=1e-6, atol=1e-6)
    assert loss == pytest.approx(float(loss_of(before, batch)), rel=1e-5 if precision == "float32" else 1e-2)
    assert not torch.equal(bench.model(batch.dense, batch.ids), before)


def test_a_step_that_was_refused_tells_no_logits(planted: ModuleType) -> None:
    bench, told = Bench(planted), []
    spoil_loss(bench)
    with pytest.raises(NotFinite):
        train_step(
            bench.model, bench.optimizer, bench.batch(), bench.config, BOTH, where=WHERE, predicted=told.append
        )  # fmt: skip
    assert told == []


def test_a_step_learns_bags_and_their_factors(planted: ModuleType) -> None:
    single, bags = Bench(planted), Bench(planted)
    batch = single.batch()
    values = batch.ids.T.reshape(-1)
    offsets, ones = torch.arange(len(values) + 1), torch.ones(len(values))
    as_bags = dataclasses.replace(batch, ids=values, offsets=offsets, value_weights=ones)
    assert single.step(batch) == pytest.approx(bags.step(as_bags), rel=1e-6)
    for name, tensor in single.tensors().items():
        torch.testing.assert_close(bags.tensors()[name], tensor, rtol=1e-4, atol=1e-6)
    before = bags.model(batch.dense, values, offsets, ones).detach()
    assert not torch.allclose(before, bags.model(batch.dense, values, offsets, ones * 0.5))
