from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pocketrec.compress import build, freeze, size
from pocketrec.native.eager import is_eager
from pocketrec.spec.table import TableSpec


class Seen(TorchDispatchMode):
    """Names of the ops that were called."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def test_modes_subclasses_and_profilers_see_the_op() -> None:
    ids = torch.zeros((1, 1), dtype=torch.int64)
    bank = freeze(build(size([TableSpec(name="a", rows=5, dim=4)], "1x"), seed=0))
    assert is_eager(ids)
    assert not is_eager(torch.nn.Parameter(torch.ones(1)))
    assert not is_eager(torch.ones(1, device="meta"))
    with Seen() as seen:
        bank(ids)
    assert any("lookup_frozen" in name for name in seen.names)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        assert not is_eager(ids)
        bank(ids)
    assert any("lookup_frozen" in event.key for event in profile.key_averages())
    assert is_eager(ids)


def test_transforms_of_torch_func_see_the_op() -> None:
    """Inside vmap a plain-looking tensor has no memory of its own."""
    bank = freeze(build(size([TableSpec(name="a", rows=5, dim=4), TableSpec(name="b", rows=5, dim=4)], "1x"), seed=0))
    ids = torch.zeros((3, 2, 2), dtype=torch.int64)
    with torch.no_grad(), pytest.raises(RuntimeError, match="Batching rule not implemented for pocketrec::lookup"):
        torch.func.vmap(bank)(ids)


def test_forward_derivatives_are_not_dropped() -> None:
    with torch.autograd.forward_ad.dual_level():
        assert not is_eager(torch.zeros(1))
    assert is_eager(torch.zeros(1))
