"""A whole DLRM for a few rows in one call: what a server does with one request.

For one row the calls between torch and the kernels cost more than the kernels, which mostly read the nets, and the nets
drive the interpreter's own memory out of the caches between them (docs/decisions/0014, docs/performance.md).
"""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor

from pocketrec.native.net import Net
from pocketrec.native.prepared import Prepared

__all__ = ["DlrmCall"]


@final
class DlrmCall:
    """Bottom net, lookup, interaction and top net; the numbers are those of the four calls, to the bit.

    It knows addresses in memory, so it can neither be copied nor pickled.

    Args:
        kernels: the compiled module.
        bottom: over the dense numbers, to as many numbers as a vector has; or None.
        lookup: of all vectors.
        top: over what the interaction gives, to one number. All nets fit the kernel.
    """

    def __init__(self, kernels: Any, bottom: Net | None, lookup: Prepared, top: Net) -> None:
        self._inputs = 0 if bottom is None else bottom.inputs
        self._reads = (bottom, lookup, top)  # the kernel knows where their numbers lie, and they must go on lying there
        self._run = kernels.Dlrm(*lookup.packed(), [] if bottom is None else bottom.numbers, top.numbers)

    def takes(self, dense: Tensor, ids: Tensor) -> bool:
        """Whether these are what a call reads: contiguous float32 [batch, inputs] and int64 [batch, columns]."""
        fits = self._inputs == 0 or (
            dense.dtype is torch.float32 and dense.is_cpu and dense.shape == (ids.shape[0], self._inputs)
            and dense.is_contiguous()
        )  # fmt: skip
        return fits and ids.dtype is torch.int64 and ids.dim() == 2 and ids.is_contiguous()

    def __call__(self, dense: Tensor, ids: Tensor) -> Tensor:
        """Logits float32 [batch] of what it `takes`. Raises what a lookup raises."""
        batch, columns = ids.shape
        out = torch.empty(batch, dtype=torch.float32)
        self._run(dense.data_ptr() if self._inputs else 0, ids.data_ptr(), batch, columns, out.data_ptr())
        return out
