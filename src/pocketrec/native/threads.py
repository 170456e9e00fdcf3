"""How many threads a kernel may use.

The default is torch's number, asked for at each call, so that one setting (``torch.set_num_threads``,
``OMP_NUM_THREADS``) governs all of a program. A number of its own is for programs whose nets and tables want different
ones: lookups wait for memory, and go on gaining where matrix products have stopped to.

The kernels do not use torch's threads, which are OpenMP's and spin while they wait; theirs sleep (csrc/threads.hpp).
Results do not depend on the number.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import torch

from pocketrec.spec.errors import OptionError

__all__ = ["MOST_THREADS", "set_threads", "threads", "use_threads"]

MOST_THREADS: Final = 256
"""As in csrc/threads.hpp."""

_count: int | None = None


def set_threads(count: int | None) -> None:
    """Let kernels use so many threads, in the whole process, from the next call on.

    Args:
        count: 1 to 256, the calling thread among them; None for the default, as many as torch.

    Raises:
        OptionError: another number, or no number. Nothing was changed.
    """
    global _count
    number: object = count  # whatever the annotation says
    if number is not None and not (type(number) is int and 1 <= number <= MOST_THREADS):
        raise OptionError(
            f"threads must be an int of 1 to {MOST_THREADS}, or None for as many as torch, got {count!r}."
        )
    _count = count


def threads() -> int:
    """How many threads a kernel may use now, 1 to 256. Calls too small to be divided use fewer."""
    return min(torch.get_num_threads(), MOST_THREADS) if _count is None else _count


@contextmanager
def use_threads(count: int | None) -> Iterator[None]:
    """`set_threads` inside the ``with``, in all threads of the process. For tests and comparisons."""
    before = _count
    set_threads(count)
    try:
        yield
    finally:
        set_threads(before)
