"""Checks of learning: starting values, gradients, steps, and that nothing else moves."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pocketrec.compress import Bank, build, freeze, restart, stages
from pocketrec.compress.group import Group
from pocketrec.compress.holdings import Holding, Scratch
from pocketrec.compress.in_float32 import in_float32
from pocketrec.compress.lookups import Gradient
from pocketrec.compress.method import of
from pocketrec.spec.budget import dense_float32_bytes
from pocketrec.spec.errors import NotFinite, OptionError
from pocketrec.spec.optimizer import OptimizerName, OptimizerSpec
from pocketrec.spec.table import IdSpace, TableSpec
from pocketrec.testing.cases import (
    Batch,
    Cases,
    groups_of,
    learn,
    random_batch,
    refusal,
    small_tables,
    zipf_stats,
)
from pocketrec.testing.materialise import dense_tables

__all__ = ["LearningChecks"]

_WEIGHTS, _MATRIX = "weights", "matrix"


class LearningChecks(Cases):
    """Training form only."""

    def test_values_come_from_the_seed_alone(self, variant: Mapping[str, Any], space: IdSpace) -> None:
        sizing = self.sized(variant, space)
        torch.manual_seed(1)
        first = self.bank(sizing, seed=5).tensors()
        torch.manual_seed(2)
        second, other = self.bank(sizing, seed=5).tensors(), self.bank(sizing, seed=6).tensors()
        for name, tensor in first.items():
            assert torch.equal(tensor, second[name]), name
        # factors may all begin at one
        drawn = [(i, group) for i, group in enumerate(sizing.groups) if group.joins != "factor"]
        weights = [f"{i}.{s.name}" for i, group in drawn for s in group.train if s.role == _WEIGHTS]
        networks = [f"{i}.{s.name}" for i, group in drawn for s in group.train if s.role == _MATRIX]
        assert len(weights) + len(networks) >= len(drawn)
        assert all((first[n] != other[n]).any() or (first[n] == first[n].round()).all() for n in networks), "all drawn"
        some = [name for name in weights if first[name].numel()]  # a part of a method may be left without a row
        assert some or networks
        for name in some:
            assert (first[name] != other[name]).float().mean() > 0.9, f"{name} hardly depends on the seed"

    def test_no_global_generator_is_touched(self, variant: Mapping[str, Any]) -> None:
        before = torch.get_rng_state(), random.getstate(), _numpy_state()
        freeze(self.bank(self.sized(variant, self.spaces(variant)[0]), steps=2))
        assert torch.equal(before[0], torch.get_rng_state())
        assert before[1] == random.getstate()
        assert before[2] == _numpy_state()

    def test_starting_values_have_the_variance_that_init_says(self, variant: Mapping[str, Any]) -> None:
        method = of(self.method.name, {**variant, "init": 0.5})
        tables = [TableSpec(name=f"t{i}", rows=1000, dim=8, ids=method.traits.ids[0]) for i in range(4)]
        budget_bytes = max(dense_float32_bytes(tables) // 4, method.least_bytes(tables))
        sizing = method.size(tables, budget_bytes, stats=zipf_stats(tables))
        first = stages(sizing)[0][1]
        banks = [build(first, seed=seed, data=self.data) for seed in range(5)]
        numbers = torch.cat([torch.cat(dense_tables(bank, factors=False)).detach().flatten() for bank in banks])
        numbers = numbers[numbers != 0]  # narrow vectors end in zeros
        assert numbers.mean().abs() < 0.05
        assert abs(float(numbers.var()) / (0.5**2 / 3) - 1) < 0.25

    def test_gradients_equal_those_of_dense_tables(self, variant: Mapping[str, Any], space: IdSpace) -> None:
        sizing = self.sized(variant, space)
        batch = random_batch(sizing, 1)
        expected = _dense_gradients(self.bank(sizing, steps=1), batch)
        assert any(gradient.any() for gradient in expected.values())
        forms: tuple[Gradient, ...] = ("dense", "sparse")
        for form in forms:
            bank = self.bank(sizing, steps=1)
            bank.gradient = form
            (bank(batch.ids) * batch.factors).sum().backward()
            for name, gradient in expected.items():
                parameter = _tensor(bank, name)
                assert parameter.grad is not None
                torch.testing.assert_close(parameter.grad.to_dense(), gradient)
        pairs = self.bank(sizing, steps=1)
        (pairs(batch.ids) * batch.factors).sum().backward()
        pairs.collect()
        torch.testing.assert_close(
            _spread(pairs), torch.cat([torch.empty(0), *(expected[n].flatten() for n in _regions(pairs))])
        )
        for matrix, name in zip(pairs.matrices(), _matrices(pairs), strict=True):
            torch.testing.assert_close(matrix.grad, expected[name])
        assert all(_tensor(pairs, name).grad is None for name in _regions(pairs)), "a table has a gradient"

    def test_steps_equal_those_of_torch(self, variant: Mapping[str, Any], optimizer: OptimizerName) -> None:
        spec = OptimizerSpec(name=optimizer, lr=0.1, eps=1e-6, l2=0.01)
        sizing = self.sized(variant, self.spaces(variant)[0], optimizer=spec)
        bank = self.bank(sizing)
        parameters = {name: _tensor(bank, name).detach().clone() for name in _regions(bank)}
        state: dict[str, dict[str, Any]] = {name: {} for name in parameters}
        for step in range(1, 4):
            batch = random_batch(sizing, step)
            gradients = _dense_gradients(bank, batch)
            for name, weights in parameters.items():
                _reference_step(weights, gradients[name], state[name], spec, step, _owner(bank, name).unit)
            _only_update(bank, batch)
            for name, weights in parameters.items():
                torch.testing.assert_close(_tensor(bank, name).detach(), weights, rtol=1e-5, atol=1e-6)

    def test_what_a_batch_does_not_touch_does_not_move(
        self, variant: Mapping[str, Any], optimizer: OptimizerName
    ) -> None:
        sizing = self.sized(variant, self.spaces(variant)[0], optimizer=OptimizerSpec(name=optimizer, lr=0.1, l2=0.01))
        bank, batch = self.bank(sizing, steps=1), random_batch(sizing, 7, rows=3)
        before = {name: tensor.clone() for name, tensor in bank.tensors().items()}
        gradients = _dense_gradients(bank, batch)
        _only_update(bank, batch)
        after = bank.tensors()
        for name in _regions(bank):
            if not gradients[name].numel():  # a part of a method may be left without a row
                continue
            touched = gradients[name].reshape(-1, _owner(bank, name).unit).any(dim=1)
            assert touched.any()
            for tensor in [name, *(held for held in _state(bank) if held.startswith(f"{name}."))]:
                old, new = before[tensor], after[tensor]
                changed = (old.reshape(len(touched), -1) != new.reshape(len(touched), -1)).any(dim=1)
                assert torch.equal(changed, touched), f"{tensor}: other rows moved than those that were touched"
        kept = [f"{i}.{s.name}" for i, g in enumerate(sizing.groups) for s in g.train if s.role in ("fixed", "matrix")]
        assert all(torch.equal(before[name], after[name]) for name in kept)

    def test_rows_of_every_kind_move_alone(self, variant: Mapping[str, Any], trained: str) -> None:
        """In few bits an update may leave a row as it was, so only what must rest is looked at."""
        sizing = self.sized(variant, self.spaces(variant)[0], storage=trained)
        bank, batch = self.bank(sizing, steps=1), random_batch(sizing, 7, rows=3)
        before = {name: tensor.clone() for name, tensor in bank.tensors().items()}
        (bank(batch.ids) * batch.factors).sum().backward()
        bank.collect()
        resting = {}
        for index in range(len(bank.groups)):
            own = [name for name in _state(bank) if name.startswith(f"{index}.") and ".scale_" not in name]
            units = sum(len(before[name]) for name in own)
            resting[index] = torch.ones(units, dtype=torch.bool)
            if index in bank.pending:  # a group of networks alone has no rows
                resting[index][bank.pending[index].addresses] = False
        _update_pending(bank)
        for name in (*_regions(bank), *_state(bank)):
            old, new, at_rest = before[name], bank.tensors()[name], resting[int(name.split(".")[0])]
            if len(old) != len(at_rest) or not old.numel():  # an array of codes lies in blocks; or nothing is held
                continue
            changed = (old.reshape(len(old), -1) != new.reshape(len(old), -1)).any(dim=1)
            assert changed.any(), f"{name} did not move at all"
            assert not (changed & at_rest).any(), f"{name}: rows moved that were not touched"

    def test_padding_and_nothing_train_nothing(self, variant: Mapping[str, Any], trained: str) -> None:
        sizing = self.sized(variant, self.spaces(variant)[0], storage=trained)
        ids = random_batch(sizing, 9).ids[:1]
        bank = self.bank(sizing, padding={name: int(i) for name, i in zip(sizing.order, ids[0], strict=True)})
        before = {name: t.clone() for name, t in bank.tensors().items() if name != "steps"}
        (bank(ids) * 3).sum().backward()
        bank.step()
        bank(ids[:0]).sum().backward()
        bank.step()
        for name, tensor in before.items():
            assert torch.equal(tensor, bank.tensors()[name]), name

    def test_a_gradient_that_is_not_finite_changes_nothing(self, variant: Mapping[str, Any]) -> None:
        sizing = self.sized(variant, self.spaces(variant)[0])
        bank, batch = self.bank(sizing, steps=1), random_batch(sizing, 3)
        before = {name: tensor.clone() for name, tensor in bank.tensors().items()}
        (bank(batch.ids) * float("nan")).sum().backward()
        refusal(NotFinite, bank.step)
        (bank(batch.ids) * batch.factors).sum().backward()
        bank.discard()
        assert all(torch.equal(tensor, bank.tensors()[name]) for name, tensor in before.items())
        learn(bank, batch)
        assert not torch.equal(bank.steps, before["steps"])

    def test_the_loss_falls(self, variant: Mapping[str, Any], space: IdSpace, trained: str) -> None:
        optimizer = OptimizerSpec(lr=0.3)
        sizing = self.sized(variant, space, optimizer=optimizer, ratio=2, init=0.1, storage=trained)
        bank, batch = self.bank(sizing), random_batch(sizing, 11)
        nets = [torch.optim.Adam(bank.matrices(), lr=0.02)] if bank.matrices() else []
        losses = []
        for _ in range(15):
            loss = ((bank(batch.ids).sum(dim=1) - batch.factors[:, 0]) ** 2).mean()
            loss.backward()
            bank.step()
            for net in nets:
                net.step()
                net.zero_grad()
            losses.append(float(loss.detach()))
        assert losses[-1] < 0.8 * losses[0]

    def test_from_dense_is_as_the_traits_say(self, variant: Mapping[str, Any], trained: str) -> None:
        ids = self.spaces(variant)
        tables = small_tables("plain" if "plain" in ids else ids[0])  # whose numbers are those of dense rows
        method = of(self.method.name, {**variant, "storage": trained})
        sizing = method.size(tables, max(dense_float32_bytes(tables) * 2, method.least_bytes(tables)))
        bank, draw = self.bank(sizing), torch.Generator().manual_seed(0)
        weights = {t.name: torch.randn(t.closed_rows, t.dim, generator=draw) for t in tables}
        groups = groups_of(bank)
        if not method.traits.from_dense:
            refusal(OptionError, lambda: method.from_dense(groups[0], weights), "from_dense")
            return
        for group in groups:
            with torch.no_grad(), in_float32(group) as plain:
                (method if group is groups[0] else group.method).from_dense(plain, weights)
        made, wanted = torch.cat(dense_tables(bank)).detach(), torch.cat(list(weights.values()))
        lost = float((made - wanted).square().mean() / wanted.square().mean())
        assert lost < 0.5, f"{lost:.0%} of the tables is lost although there are twice the bytes"

    def test_a_bank_goes_on_from_the_one_before(self, variant: Mapping[str, Any], space: IdSpace, trained: str) -> None:
        sizing = self.sized(variant, space, storage=trained)
        before = self.bank(sizing, steps=2)
        after = build(stages(sizing)[-1][1], seed=9, data=self.data, previous=before)
        for name, tensor in before.tensors().items():
            assert torch.equal(tensor, after.tensors()[name]), name
            assert tensor.data_ptr() != after.tensors()[name].data_ptr() or not tensor.numel()
        ids = random_batch(sizing, 3).ids
        assert torch.equal(before(ids), after(ids)), "hashes go on with the seed of the bank before"

    def test_rows_that_begin_anew_are_as_built(self, variant: Mapping[str, Any], trained: str) -> None:
        bank = self.bank(self.sized(variant, self.spaces(variant)[0], storage=trained), steps=2)
        before = {name: (tensor.data_ptr(), tensor.clone()) for name, tensor in bank.tensors().items()}
        restart(bank, seed=9, data=self.data)
        other = build(bank.sizing, seed=9, data=self.data)
        if decided := _decided(bank):
            for name in decided:
                assert torch.equal(bank.tensors()[name], before[name][1]), "what an earlier stage decided stays"
                other.tensors()[name].copy_(before[name][1])
            restart(other, seed=9, data=self.data)
        for name in _matrices(bank):
            assert torch.equal(bank.tensors()[name], before[name][1]), "what trains with the nets stays"
            with torch.no_grad():
                other.tensors()[name].copy_(before[name][1])
        for step in range(3):
            for name, tensor in other.tensors().items():
                assert torch.equal(bank.tensors()[name], tensor), f"{name} after {step} steps"
            learn(bank, random_batch(bank.sizing, step))
            learn(other, random_batch(bank.sizing, step))
        assert {name: tensor.data_ptr() for name, tensor in bank.tensors().items()} == {
            name: place for name, (place, _) in before.items()
        }, "the memory is the same"


def _numpy_state() -> str:
    """The state of numpy's global generator, written out."""
    return str(np.random.get_state(legacy=False))


def _regions(bank: Bank) -> list[str]:
    """Names of all tensors that addresses count through: "0.rows"."""
    return [f"{i}.{name}" for i, group in enumerate(groups_of(bank)) for name in group.access.regions]


def _matrices(bank: Bank) -> list[str]:
    return [f"{i}.{s.name}" for i, g in enumerate(groups_of(bank)) for s in g.sizing.train if s.role == "matrix"]


def _decided(bank: Bank) -> list[str]:
    """Names of what an earlier stage decided."""
    held = [(i, h) for i, g in enumerate(groups_of(bank)) for h in _holdings(g)]
    return [f"{i}.{h.name}" for i, h in held if isinstance(h, Scratch) and h.stays]


def _holdings(group: Group) -> tuple[Holding, ...]:
    return group.method.holdings(group.sizing.tables, group.sizing.settings)


def _state(bank: Bank) -> list[str]:
    """Names of the optimizer's tensors."""
    return [f"{i}.{s.name}" for i, group in enumerate(groups_of(bank)) for s in group.sizing.state]


def _owner(bank: Bank, name: str) -> Group:
    """The group that holds the tensor of this name."""
    return groups_of(bank)[int(name.split(".", 1)[0])]


def _tensor(bank: Bank, name: str) -> Tensor:
    return _owner(bank, name).tensor(name.split(".", 1)[1])


def _dense_gradients(bank: Bank, batch: Batch) -> dict[str, Tensor]:
    """Gradients of all parameters by torch's own indexing, through tables that are written out."""
    tables = dense_tables(bank, positions=batch.positions)
    looked_up = torch.stack([t[p] for t, p in zip(tables, batch.positions.T, strict=True)], dim=1)
    names = [*_regions(bank), *_matrices(bank)]
    loss = (looked_up * batch.factors).sum()
    found = torch.autograd.grad(loss, [_tensor(bank, n) for n in names], materialize_grads=True)
    return dict(zip(names, found, strict=True))


def _spread(bank: Bank) -> Tensor:
    """The pending pairs of all groups as one dense, flat gradient of their regions."""
    found = [torch.empty(0)]
    for index, group in enumerate(groups_of(bank)):
        if not group.access.regions:
            continue
        pairs, units = bank.pending[index], sum(r.numel() for r in group.regions()) // group.unit
        assert len(torch.unique(pairs.addresses)) == len(pairs.addresses), "pairs are distinct"
        out = torch.zeros(units, group.unit)
        out[pairs.addresses] = pairs.grads
        found.append(out.flatten())
    return torch.cat(found)


def _only_update(bank: Bank, batch: Batch) -> None:
    """A step without what an adaptive method does after it."""
    (bank(batch.ids) * batch.factors).sum().backward()
    bank.collect()
    for matrix in bank.matrices():
        matrix.grad = None
    _update_pending(bank)


def _update_pending(bank: Bank) -> None:
    groups, optimizer = groups_of(bank), bank.sizing.optimizer
    if not any(group.method.traits.adaptive for group in groups):
        bank.step()
        return
    bank.steps += 1
    for index, pairs in bank.pending.items():
        groups[index].update(pairs, optimizer, lr=optimizer.lr, step=int(bank.steps))
    bank.discard()


def _reference_step(
    weights: Tensor, gradient: Tensor, state: dict[str, Any], spec: OptimizerSpec, step: int, unit: int
) -> None:
    """The same step on dense tensors: torch's optimizers, or their formula where torch has none."""
    rows, touched = weights.view(-1, unit), gradient.reshape(-1, unit).any(dim=1)
    grads = gradient.reshape(-1, unit) + spec.l2 * rows * touched[:, None]
    if spec.name == "rowwise_adagrad":
        total = state.setdefault("sum", torch.zeros(len(rows)))
        total += grads.square().mean(dim=1)
        rows -= spec.lr * grads / (total.sqrt()[:, None] + spec.eps)
        return
    if spec.name == "adam":  # lazy: torch.optim.SparseAdam, with the gradient of touched rows only
        index = touched.nonzero()[:, 0]
        grad = torch.sparse_coo_tensor(index[None], grads[index], rows.shape, check_invariants=False)
    else:
        grad = grads
    parameter = torch.nn.Parameter(rows.clone())
    parameter.grad = grad
    made = _torch_optimizer(parameter, spec)
    if state:
        made.state[parameter] = state["torch"]
    made.step()
    state["torch"] = made.state[parameter]
    rows.copy_(parameter.detach())


def _torch_optimizer(parameter: torch.nn.Parameter, spec: OptimizerSpec) -> torch.optim.Optimizer:
    if spec.name == "sgd":
        return torch.optim.SGD([parameter], lr=spec.lr)
    if spec.name == "adagrad":
        return torch.optim.Adagrad([parameter], lr=spec.lr, eps=spec.eps)
    return torch.optim.SparseAdam([parameter], lr=spec.lr, eps=spec.eps, betas=(spec.beta1, spec.beta2))
