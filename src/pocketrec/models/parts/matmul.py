"""Which code multiplies matrices of float32: what torch takes by itself, or oneDNN.

On x86 torch takes MKL, which runs its narrow path on AVX-512 processors that are not Intel's: measured 80 to 105 GF/s
on one thread of a Zen 5 where oneDNN made 190 to 236 of the same product, at a relative error of 4.0e-7 (MKL: 2.4e-7).
With few rows MKL is the quicker one. torch has no word for "oneDNN in float32"; it goes there when products *may* be
rounded to bfloat16, and on processors with AMX they then are. So nothing is believed: :func:`probed` compares both for
speed, and oneDNN with float64, once per process.

The setting of torch is one of the whole process. :class:`Matmul` sets it around our own products and puts back what was
there; with several threads the last one out does. Products of other threads in that time go the same way, and
``torch.get_float32_matmul_precision()`` complains, because the setting was made for the CPU alone.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, final

import torch
from torch import Tensor

from pocketrec.spec.errors import OptionError

__all__ = ["Matmul", "MatmulSetting", "bfloat16_cost", "choose_matmul", "probed", "serving"]

MatmulSetting = Literal["auto", "torch", "onednn"]

# A product of float32-grade: sums of some hundred products in float32 err by some 1e-7 of the result, bfloat16 by 3e-3.
MOST_ERROR: Final = 1e-6

# oneDNN is taken where it needs at most this share of the time. Where it pays it needs about half, and where nothing
# changes all of it: so the figures of one machine, however disturbed, fall to one side.
MOST_TIME: Final = 0.8

# Rows of the products that are timed; below the first, torch's choice stays. Rows, inputs and outputs of a layer.
_ROWS: Final = (16, 64, 256)
_INPUTS, _OUTPUTS = 512, 256


@final
class _OneDnn:
    """Inside the ``with``, in all threads, products of float32 matrices on the CPU go through oneDNN."""

    def __init__(self) -> None:
        self._lock, self._inside, self._before = threading.Lock(), 0, ""

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = torch._C._get_fp32_precision_getter("mkldnn", "matmul")
                torch._C._set_fp32_precision_setter("mkldnn", "matmul", "bf16")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                torch._C._set_fp32_precision_setter("mkldnn", "matmul", self._before)


_ONEDNN: Final = _OneDnn()
_AS_IT_IS: Final = nullcontext()


@dataclass(frozen=True, slots=True, kw_only=True)
class Matmul:
    """From how many rows on products go through oneDNN.

    Attributes:
        onednn_rows: 1 or more, or None: never.
    """

    onednn_rows: int | None = None

    def at(self, rows: int) -> AbstractContextManager[None]:
        """Inside the ``with``, products go the way that is chosen for so many rows of a batch."""
        return _AS_IT_IS if self.onednn_rows is None or rows < self.onednn_rows else _ONEDNN

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Matmul:
        """The inverse of :meth:`to_json`."""
        return Matmul(**data)


def choose_matmul(setting: MatmulSetting, *, precision: str = "float32") -> Matmul:
    """What a setting means on this machine.

    Args:
        setting: ``torch`` (as torch does by itself), ``onednn``, or ``auto`` (the quicker one).
        precision: of the nets; products of bfloat16 go through oneDNN anyway.

    Raises:
        OptionError: ``onednn``, where it would round to bfloat16.
    """
    if setting == "torch" or precision != "float32":
        return Matmul()
    if setting == "auto":
        return probed()
    error = onednn_error()
    if error > MOST_ERROR:
        raise OptionError(
            f"On this processor torch's way to oneDNN rounds to bfloat16: relative error {error:.1e}, allowed is "
            f"{MOST_ERROR:.0e}. Set matmul to auto or torch, or precision to bfloat16 if that is exact enough."
        )
    return Matmul(onednn_rows=1)


def serving(rows: int) -> AbstractContextManager[None]:
    """Inside the ``with``, products go the quicker way for so many rows: the setting ``auto``."""
    return _AS_IT_IS if rows < _ROWS[0] else probed().at(rows)


@functools.cache
def probed() -> Matmul:
    """What is quicker on this machine at float32's accuracy; some milliseconds at the first call, none after.

    Only with AVX-512 does torch know the way to oneDNN; elsewhere nothing is measured.
    """
    if not torch._C._has_mkldnn or "AVX512" not in torch.backends.cpu.get_cpu_capability():
        return Matmul()
    return decided(onednn_error(), {rows: _time_share(rows) for rows in _ROWS})


def decided(error: float, shares: Mapping[int, float]) -> Matmul:
    """The rule: oneDNN from the fewest rows on from which it always pays, if it is exact enough.

    Args:
        error: relative error of its products.
        shares: by rows, rising: its time over that of torch's choice.
    """
    first = None
    for rows, share in shares.items():
        first = None if share > MOST_TIME else first or rows
    return Matmul(onednn_rows=first if error <= MOST_ERROR else None)


@torch.no_grad()
def onednn_error() -> float:
    """Largest relative error (in the norm, against float64) of the three products of a layer on the way to oneDNN."""
    rows, weight = _matrices(_ROWS[-1] // 2)
    grad = rows @ weight.t()
    errors = []
    for left, right in ((rows, weight.t()), (grad, weight), (grad.t(), rows)):
        exact = left.double() @ right.double()
        with _ONEDNN:
            found = left @ right
        errors.append(float((found.double() - exact).norm() / exact.norm()))
    return max(errors)


@functools.cache
def bfloat16_cost() -> float:
    """Time of a layer's product in bfloat16 over that in float32; above 1 where the processor has no words for it."""
    rows, weight = _matrices(_ROWS[-1] // 2)
    low_rows, low_weight = rows.bfloat16(), weight.bfloat16()
    with torch.no_grad():
        return _least(lambda: low_rows @ low_weight.t()) / _least(lambda: rows @ weight.t())


@torch.no_grad()
def _time_share(count: int) -> float:
    rows, weight = _matrices(count)

    def through_onednn() -> Tensor:
        with _ONEDNN:
            return rows @ weight.t()

    return _least(through_onednn) / _least(lambda: rows @ weight.t())


def _least(product: Callable[[], Tensor], *, calls: int = 7) -> float:
    """Seconds of this thread's processor time, which others on the machine disturb least, at the best of some calls."""
    product()
    times = []
    for _ in range(calls):
        began = time.thread_time_ns()
        product()
        times.append(time.thread_time_ns() - began)
    return max(min(times), 1) / 1e9


def _matrices(count: int) -> tuple[Tensor, Tensor]:
    """Rows and weights, float32 [count, inputs] and [outputs, inputs]."""
    draw = torch.Generator().manual_seed(0)
    return torch.randn(count, _INPUTS, generator=draw), torch.randn(_OUTPUTS, _INPUTS, generator=draw)
