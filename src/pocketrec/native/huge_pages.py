"""Tensors on huge pages: memory that the system manages in pieces of 2 MiB in place of 4 KiB.

Lookups read rows all over a table. With small pages nearly every one also misses the TLB, the processor's list of where
pages lie; on huge pages few do, and lookups were measured 1.2 to 1.55 times as fast. Most systems give huge pages only
to programs that ask (``transparent_hugepage/enabled`` is ``madvise``), and torch does not ask.

A huge page must begin at a multiple of 2 MiB, so large tensors made here do. No memory is held for that: the gap before
a tensor is address space that nothing ever touches, the part behind the last whole huge page stays on small pages, and
the tensor's storage is exactly its own bytes, so that whatever saves storages saves no more than it should.

``POCKETREC_HUGE_PAGES=0`` turns it off: tensors then come from torch as everywhere. Files that are mapped into memory
are left as they are; their pages belong to the file.
"""

from __future__ import annotations

import math
import mmap
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from pocketrec.native.binding import kernels
from pocketrec.spec.errors import NativeError

__all__ = ["HUGE_PAGE_BYTES", "LEAST_BYTES", "advise", "copied", "empty", "state", "zeros"]

HUGE_PAGE_BYTES: Final = 2 * 2**20
LEAST_BYTES: Final = 8 * 2**20
"""Smaller tensors come from torch: the TLB holds their small pages about as well, and they come and go often."""

_ENABLED: Final = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def state_of(setting: str) -> str:
    """What `state` says under a value of POCKETREC_HUGE_PAGES.

    Args:
        setting: "" or "1" (where the system has them), or "0" (never).

    Raises:
        NativeError: another value.
    """
    if setting not in ("", "0", "1"):
        raise NativeError(f"POCKETREC_HUGE_PAGES must be 0, 1 or empty, got {setting!r}.")
    if setting == "0":
        return "off (POCKETREC_HUGE_PAGES=0)"
    if not sys.platform.startswith("linux") or not hasattr(mmap, "MADV_HUGEPAGE"):
        return "off (this system has none to ask for)"
    try:
        allowed = _ENABLED.read_text()
    except OSError:
        return f"off (there is no {_ENABLED})"
    return f"off ({_ENABLED} says never)" if "[never]" in allowed else "on"


_state: str = state_of(os.environ.get("POCKETREC_HUGE_PAGES", ""))


def state() -> str:
    """Whether large tensors are put on huge pages: "on", or "off (the reason)". Decided when this is imported."""
    return _state


def empty(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A contiguous tensor on the CPU whose values are whatever they are, for tables and their state.

    From 8 MiB on it begins at a multiple of 2 MiB and is on huge pages, where the system has them; it then cannot be
    resized. Pages that were never written read as zeros and take no memory, so measure nothing on such a tensor.
    """
    made = _aligned(shape, dtype)
    return torch.empty(tuple(shape), dtype=dtype, device="cpu") if made is None else made


def zeros(shape: Sequence[int], dtype: torch.dtype, device: torch.device | str = "cpu") -> Tensor:
    """As `empty`, but all zeros. On other devices than the CPU it is torch's.

    Large ones are not written: memory comes from the system as zeros, page by page, when it is first touched.
    """
    made = _aligned(shape, dtype) if torch.device(device).type == "cpu" else None
    return torch.zeros(tuple(shape), dtype=dtype, device=device) if made is None else made


def copied(tensor: Tensor) -> Tensor:
    """A contiguous copy on the tensor's device, on the CPU as `empty` makes it; nothing is recorded for autograd."""
    if not tensor.is_cpu:
        return tensor.detach().clone(memory_format=torch.contiguous_format)
    return empty(tensor.shape, tensor.dtype).copy_(tensor.detach())


def advise(tensor: Tensor) -> int:
    """Ask for huge pages under the memory of a contiguous tensor that was made elsewhere, before it is first written.

    Only the whole 2 MiB pages inside it can be huge. It is left as it is where POCKETREC_HUGE_PAGES or the system says
    so, and where the kernels were not compiled.

    Returns:
        How many bytes were asked for, at most the tensor's.
    """
    if _state != "on" or kernels() is None or not tensor.is_cpu or not tensor.is_contiguous():
        return 0
    return int(kernels().advise_huge(tensor.data_ptr(), tensor.numel() * tensor.element_size()))


def _aligned(shape: Sequence[int], dtype: torch.dtype) -> Tensor | None:
    """Untouched, zero memory of its own at a multiple of 2 MiB. None when it is not wanted or not to be had."""
    count = math.prod(shape)
    nbytes = count * dtype.itemsize
    if _state != "on" or nbytes < LEAST_BYTES:
        return None
    try:
        # Private: pages of shared memory follow another rule of the system, which mostly forbids huge ones.
        pages = mmap.mmap(-1, nbytes + HUGE_PAGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        gap = -torch.frombuffer(pages, dtype=torch.uint8, count=1).data_ptr() % HUGE_PAGE_BYTES
        pages.madvise(mmap.MADV_HUGEPAGE, gap, nbytes // HUGE_PAGE_BYTES * HUGE_PAGE_BYTES)
    except (OSError, OverflowError):
        return None  # torch will try, and say what is wrong
    # The tensor keeps the pages alive, and its storage begins at the gap's end.
    return torch.frombuffer(pages, dtype=dtype, count=count, offset=gap).view(tuple(shape))
