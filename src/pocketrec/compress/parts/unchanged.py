"""Whether modules are still what they were when something was made ready from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from operator import is_
from typing import Any, Final, final

from torch import Tensor, nn
from torch.nn.modules import module

__all__ = ["Unchanged"]

_EVERYWHERE: Final = (module._global_forward_hooks, module._global_forward_pre_hooks)


@final
class Unchanged:
    """Asked before each use, so that it takes a few microseconds: no step of a call is a loop of Python.

    A change is a layer, parameter or buffer that was added, taken away or replaced, or a tensor that lies elsewhere or
    otherwise; new numbers in the same memory are none. A copy or a pickle of it is None, for it knows one place only.

    Args:
        modules: those that are read, each by itself: children are known only where they are among them.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self._modules = list(modules)
        self._types = list(map(type, self._modules))
        slots: list[dict[str, Any]] = []
        for m in self._modules:
            slots += [m._modules, m._parameters, m._buffers]
        self._filled = [slot for slot in slots if slot]
        self._sizes = list(map(len, self._filled))
        self._held = list(self._values())
        self._tensors = [held for held in self._held if isinstance(held, Tensor)]
        self._layout = self._layout_now()
        self._empty = [slot for slot in slots if not slot]
        self._hooks = [*_EVERYWHERE]
        for m in self._modules:
            self._hooks += [m._forward_hooks, m._forward_pre_hooks]

    def listened(self) -> bool:
        """Whether any of them has a hook on its forward pass, or all modules have."""
        return any(self._hooks)

    def __call__(self) -> bool:
        """Whether nothing changed."""
        return (
            not any(self._empty)
            and list(map(type, self._modules)) == self._types
            and list(map(len, self._filled)) == self._sizes
            and all(map(is_, self._values(), self._held))
            and self._layout_now() == self._layout
        )

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return type(None), ()

    def _values(self) -> Iterator[object]:
        return chain.from_iterable(map(dict.values, self._filled))

    def _layout_now(self) -> list[int]:
        """Enough to tell a tensor from one that took its place: shapes are slow to ask for."""
        tensors = self._tensors
        return [*map(Tensor.data_ptr, tensors), *map(Tensor.numel, tensors), *map(Tensor.is_contiguous, tensors)]
