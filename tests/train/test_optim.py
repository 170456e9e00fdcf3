"""The state of the dense optimizer travels as named tensors, exactly."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from pocketrec.spec.errors import OptionError
from pocketrec.train import TrainConfig
from pocketrec.train.optim import dense_optimizer, load_optimizer_tensors, optimizer_tensors

KINDS = ("adam", "adagrad", "sgd")


def made(kind: str, *, steps: int = 0, widths: tuple[int, ...] = (3, 4, 1)) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Two layers and their optimizer after some steps."""
    draw = torch.Generator().manual_seed(0)
    net = nn.Sequential(*(nn.Linear(i, o) for i, o in pairwise(widths)))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.uniform_(-1, 1, generator=draw)
    optimizer = dense_optimizer(net.parameters(), TrainConfig(dense_optimizer=kind, dense_lr=0.05))  # type: ignore[arg-type]
    for _ in range(steps):
        step(net, optimizer)
    return net, optimizer


def step(net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    net(torch.tensor([[0.5, -1.0, 2.0]])).square().sum().backward()
    optimizer.step()


@pytest.mark.parametrize("kind", KINDS)
def test_the_configuration_names_the_optimizer(kind: str) -> None:
    _, optimizer = made(kind)
    assert type(optimizer).__name__.lower() == kind
    assert [group["lr"] for group in optimizer.param_groups] == [0.05]
    assert all(group["fused"] for group in optimizer.param_groups)


@pytest.mark.parametrize("kind", KINDS)
def test_state_that_travelled_goes_on_bit_by_bit(kind: str) -> None:
    net, optimizer = made(kind, steps=3)
    other, fresh = made(kind)
    with torch.no_grad():
        for new, old in zip(other.parameters(), net.parameters(), strict=True):
            new.copy_(old)
    load_optimizer_tensors(fresh, optimizer_tensors(optimizer))
    for _ in range(3):
        step(net, optimizer)
        step(other, fresh)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True))
    now, then = optimizer_tensors(fresh), optimizer_tensors(optimizer)
    assert now.keys() == then.keys()
    assert all(torch.equal(now[name], then[name]) for name in now)
    assert bool(now) == (kind != "sgd")


def test_loading_copies_and_naming_shares() -> None:
    _, optimizer = made("adam", steps=1)
    net, other = made("adam")
    load_optimizer_tensors(other, optimizer_tensors(optimizer))
    before = {name: t.clone() for name, t in optimizer_tensors(optimizer).items()}
    step(net, other)
    assert all(torch.equal(t, before[name]) for name, t in optimizer_tensors(optimizer).items())
    shared = optimizer_tensors(optimizer)["0.exp_avg"]
    assert shared.data_ptr() == optimizer_tensors(optimizer)["0.exp_avg"].data_ptr()


@pytest.mark.parametrize(
    ("kind", "widths", "said"),
    [
        ("adagrad", (3, 4, 1), r"holds \['step', 'sum'\], Adam needs .*Keep dense_optimizer"),
        ("adam", (3, 5, 1), r"'exp_avg.*' of parameter 0 is \[5, 3\], the parameter \[4, 3\].*Keep the model"),
        ("adam", (3, 4, 4, 1), r"parameter 2 is \[4, 4\]|parameter 4, and there are 4"),
    ],
)
def test_state_of_another_optimizer_or_model_is_refused(kind: str, widths: tuple[int, ...], said: str) -> None:
    _, theirs = made(kind, steps=1, widths=widths)
    _, ours = made("adam", steps=2)
    before = {name: t.clone() for name, t in optimizer_tensors(ours).items()}
    with pytest.raises(OptionError, match=said):
        load_optimizer_tensors(ours, optimizer_tensors(theirs))
    assert all(torch.equal(t, before[name]) for name, t in optimizer_tensors(ours).items())


@pytest.mark.parametrize("name", ["rows", "x.step", "0."])
def test_names_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(OptionError, match="names no state"):
        load_optimizer_tensors(made("adam")[1], {name: torch.zeros(1)})


def test_state_of_more_parameters_is_refused() -> None:
    _, theirs = made("adam", steps=1, widths=(3, 4, 1, 1))
    with pytest.raises(OptionError, match="of parameter 4, and there are 4"):
        load_optimizer_tensors(made("adam")[1], optimizer_tensors(theirs))
