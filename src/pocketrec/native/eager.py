"""When a call may pass torch's dispatcher by, which costs more than a small kernel."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

__all__ = ["is_eager"]

_profiler: Final = torch.autograd.profiler
_forward_ad: Final = torch.autograd.forward_ad


def is_eager(tensor: Tensor) -> bool:
    """Whether a call with this tensor is between us and torch.

    No compiler, mode, subclass, profiler, transform of torch.func or forward derivative is to see it.
    """
    return (
        type(tensor) is Tensor
        and tensor.is_cpu
        and not torch.compiler.is_compiling()
        and torch._C._len_torch_dispatch_stack() == 0
        and torch._C._functorch.peek_interpreter_stack() is None
        and _forward_ad._current_level < 0
        and not _profiler._is_profiler_enabled
    )
