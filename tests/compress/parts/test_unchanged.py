from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import nn

from pocketrec.compress.parts.unchanged import Unchanged


@pytest.fixture
def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.BatchNorm1d(3))


def test_new_numbers_in_the_same_memory_are_no_change(net: nn.Sequential) -> None:
    same = Unchanged(net.modules())
    with torch.no_grad():
        net[0].weight.mul_(2)
    net(torch.ones(2, 4)).sum().backward()
    net.eval()
    assert same()
    assert not same.listened()


def cut(net: nn.Sequential) -> None:
    net[0].weight.data = net[0].weight.data[:2]  # begins where it began


CHANGES: dict[str, Callable[[nn.Sequential], object]] = {
    "a layer more": lambda net: net.append(nn.Tanh()),
    "a layer less": lambda net: net.pop(1),
    "another layer": lambda net: net.__setitem__(1, nn.ReLU()),
    "another parameter": lambda net: setattr(net[0], "weight", nn.Parameter(torch.ones(3, 4))),
    "no bias": lambda net: setattr(net[0], "bias", None),
    "a parameter elsewhere": lambda net: setattr(net[0].weight, "data", torch.ones(3, 4)),
    "a part of it": cut,
    "turned round": lambda net: setattr(net[0].weight, "data", net[0].weight.data.t()),
    "another type": lambda net: net.double(),
    "another buffer": lambda net: setattr(net[2], "running_mean", torch.zeros(3)),
    "the first buffer": lambda net: net[1].register_buffer("found", torch.zeros(1)),
    "a parametrization": lambda net: nn.utils.parametrizations.weight_norm(net[0]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_a_change(net: nn.Sequential, change: str) -> None:
    same = Unchanged(net.modules())
    CHANGES[change](net)
    assert not same()


def test_whoever_listens_is_known(net: nn.Sequential) -> None:
    same = Unchanged(net.modules())
    for hook in (net[1].register_forward_hook, net[0].register_forward_pre_hook):
        handle = hook(lambda *_: None)
        assert same.listened()
        assert same()
        handle.remove()
        assert not same.listened()
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    assert same.listened()
    handle.remove()


def test_only_the_modules_that_were_given_are_watched(net: nn.Sequential) -> None:
    same = Unchanged([net])
    net[0].weight = nn.Parameter(torch.ones(3, 4))
    assert same()


def test_copies_know_nothing(net: nn.Sequential) -> None:
    same = Unchanged(net.modules())
    assert copy.deepcopy(same) is None
    assert pickle.loads(pickle.dumps(same)) is None
