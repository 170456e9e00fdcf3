"""How many threads a kernel may use."""

from __future__ import annotations

import torch

__all__ = ["set_threads", "threads"]

_count: int | None = None


def set_threads(count: int | None) -> None:
    """Use so many threads; None, the default, for as many as torch uses."""
    global _count
    _count = count


def threads() -> int:
    """Threads that a kernel may use now."""
    return torch.get_num_threads() if _count is None else _count
