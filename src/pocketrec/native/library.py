"""The library of torch ops called ``pocketrec``: where each op of this package is defined and implemented.

Ops are defined with `torch.library.Library` and not with `custom_op`, whose wrapper costs some microseconds a call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch

__all__ = ["LIBRARY", "define"]

LIBRARY: Final = torch.library.Library("pocketrec", "DEF")  # type: ignore[no-untyped-call]  # torch has no types here


def define(
    name: str,
    schema: str,
    implementation: Callable[..., Any],
    fake: Callable[..., Any],
    *,
    differentiable: bool = False,
) -> Any:
    """Define ``torch.ops.pocketrec.<name>`` and return its overload, the quickest way to call it.

    Args:
        name: of the op.
        schema: its arguments and results, ``(Tensor x, ...) -> Tensor``.
        implementation: computes on any device; chooses between compiled kernel and reference by itself.
        fake: makes results of the right shape, dtype and device without data; raises for wrong shapes as the
            implementation does.
        differentiable: whether an autograd formula will be registered; else results never require a gradient.
    """
    LIBRARY.define(name + schema, tags=(torch.Tag.pt2_compliant_tag,))  # type: ignore[no-untyped-call]
    LIBRARY.impl(name, implementation, "CompositeExplicitAutograd")  # type: ignore[no-untyped-call]
    if not differentiable:
        LIBRARY.impl(name, torch.library.fallthrough_kernel, "Autograd")  # type: ignore[no-untyped-call]
    torch.library.register_fake(f"pocketrec::{name}", fake, lib=LIBRARY)
    return getattr(torch.ops.pocketrec, name).default
