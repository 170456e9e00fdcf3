"""The checks of learning find faults."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch

from pocketrec.compress.group import Group
from pocketrec.compress.method import Traits
from pocketrec.compress.methods.quotient_remainder import QuotientRemainder
from pocketrec.testing import learning_checks
from pocketrec.testing.learning_checks import LearningChecks

Make = Callable[[Any], Any]
Check = Callable[[LearningChecks], None]


def starts_too_wide(kept: Any) -> Any:
    def initialise(self: Any, group: Group, **keywords: Any) -> None:
        kept(self, group, **keywords)
        group.tensor("rows").data.mul_(1.5)

    return initialise


FAULTS: dict[str, tuple[str, Make, Check]] = {
    "values from the global generator": (
        "initialise", lambda kept: lambda self, group, **k: group.tensor("rows").data.uniform_(-1, 1),
        lambda c: c.test_no_global_generator_is_touched({}),
    ),
    "values that the seed does not change": (
        "initialise", lambda kept: lambda self, group, seed, data=None: kept(self, group, seed=0),
        lambda c: c.test_values_come_from_the_seed_alone({}, "rank"),
    ),
    "values that start too wide": (
        "initialise", starts_too_wide, lambda c: c.test_starting_values_have_the_variance_that_init_says({}),
    ),
    "dense tables that are ignored": (
        "from_dense", lambda kept: lambda self, group, weights: None,
        lambda c: c.test_from_dense_is_as_the_traits_say({}, "float32"),
    ),
    "a trait that is not said": (
        "traits", lambda kept: Traits(), lambda c: c.test_from_dense_is_as_the_traits_say({}, "float32"),
    ),
    "what was learned is forgotten": (
        "warm", lambda kept: lambda self, group, previous: None,
        lambda c: c.test_a_bank_goes_on_from_the_one_before({}, "rank", "float32"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str, finds: Callable[..., None]) -> None:
    finds(LearningChecks, *FAULTS[fault])


def half_of_the_pairs(kept: Any) -> Any:
    """One of two factors reads but does not learn."""

    def compact(group: Group, *arguments: Any) -> Any:
        pairs = kept(group, *arguments)
        return type(pairs)(pairs.addresses[::2], pairs.grads[::2])

    return compact


def doubled_step(kept: Any) -> Any:
    return lambda group, pairs, optimizer, lr, **rest: kept(group, pairs, optimizer, lr=2 * lr, **rest)


def sweeps_all_rows(kept: Any) -> Any:
    def update(group: Group, pairs: Any, optimizer: Any, **rates: Any) -> None:
        kept(group, pairs, optimizer, **rates)
        for region in group.regions():
            region.data.mul_(0.999)

    return update


GROUP_FAULTS: dict[str, tuple[str, Make, Check]] = {
    "a factor that does not learn": (
        "compact", half_of_the_pairs, lambda c: c.test_gradients_equal_those_of_dense_tables({}, "rank"),
    ),
    "the same, seen by a step": ("compact", half_of_the_pairs, lambda c: c.test_steps_equal_those_of_torch({}, "sgd")),
    "steps that are too long": ("update", doubled_step, lambda c: c.test_steps_equal_those_of_torch({}, "adagrad")),
    "decay of rows that were not touched": (
        "update", sweeps_all_rows, lambda c: c.test_what_a_batch_does_not_touch_does_not_move({}, "sgd"),
    ),
    "the same in few bits": (
        "update", sweeps_all_rows, lambda c: c.test_rows_of_every_kind_move_alone({}, "float16_trained"),
    ),
    "padding that trains": (
        "update", sweeps_all_rows, lambda c: c.test_padding_and_nothing_train_nothing({}, "float32"),
    ),
    "no step at all": (
        "update", lambda kept: lambda *a, **k: None, lambda c: c.test_the_loss_falls({}, "rank", "float32"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", GROUP_FAULTS)
def test_a_fault_of_the_group_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, make, check = GROUP_FAULTS[fault]
    contract = type("Contract", (LearningChecks,), {"method": QuotientRemainder})()
    check(contract)
    monkeypatch.setattr(Group, name, make(getattr(Group, name)))
    with pytest.raises(AssertionError):
        check(contract)


def test_the_reference_is_torchs_own_optimizers() -> None:
    source = inspect.getsource(learning_checks._torch_optimizer)
    assert all(name in source for name in ("torch.optim.SGD", "torch.optim.Adagrad", "torch.optim.SparseAdam"))
    assert torch.optim.SparseAdam
