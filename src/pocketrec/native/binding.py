"""Find the compiled kernels, and say which backend computes.

The kernels are the module ``pocketrec._native``. Where it was not built, the plain-torch references compute; where it
was built for another version of this package, that is an error and never a silent fallback. The environment variable
``POCKETREC_NATIVE=0`` forces the references, ``POCKETREC_NATIVE=1`` makes a missing compiled part an error.

Kernels use the widest instructions that processor and system support. ``POCKETREC_SIMD=generic|avx2|avx512`` lowers
that, and never raises it; all levels give the same bits.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final, Literal

from torch import Tensor

from pocketrec.spec.errors import NativeError

__all__ = ["ABI", "Backend", "backend", "kernels", "kernels_for", "simd", "simd_available", "use_backend"]

Backend = Literal["compiled", "reference"]

ABI: Final = 14
"""Raised whenever the arguments or the meaning of a kernel change; csrc/pocketrec.h carries the same number."""

_MODULE: Final = "pocketrec._native"
_LEVELS: Final = ("generic", "avx2", "avx512")  # enum Level in csrc/cpu.hpp


def check_simd(word: str) -> None:
    """Refuse a value of POCKETREC_SIMD that is neither empty nor a level. The compiled module reads it when loaded.

    Raises:
        NativeError: names the value and the levels.
    """
    if word and word not in _LEVELS:
        raise NativeError(f"POCKETREC_SIMD must be {', '.join(_LEVELS)} or empty, got {word!r}.")


def load(setting: str) -> ModuleType | None:
    """The compiled module, or None when it was not built or `setting` forbids it.

    Args:
        setting: value of POCKETREC_NATIVE: "" (use it if it is there), "0" (never) or "1" (must be there).

    Raises:
        NativeError: it belongs to another version, cannot be loaded, or is missing although "1" asks for it.
    """
    if setting not in ("", "0", "1"):
        raise NativeError(f"POCKETREC_NATIVE must be 0, 1 or empty, got {setting!r}.")
    if setting == "0":
        return None
    try:
        module = importlib.import_module(_MODULE)
    except ModuleNotFoundError as error:
        if error.name != _MODULE:
            raise
        if setting == "1":
            raise NativeError(
                f"POCKETREC_NATIVE=1, but {_MODULE} was not built. Install with a C++17 compiler."
            ) from None
        return None
    except ImportError as error:
        raise NativeError(
            f"{_MODULE} is there but cannot be loaded: {error}. Reinstall pocketrec, or set POCKETREC_NATIVE=0."
        ) from error
    found = getattr(module, "ABI", None)
    if found != ABI:
        raise NativeError(
            f"{_MODULE} has ABI {found}, this pocketrec needs {ABI}: {module.__file__} was built from other sources. "
            "Reinstall pocketrec, or set POCKETREC_NATIVE=0 to run on the plain-torch references."
        )
    return module


check_simd(os.environ.get("POCKETREC_SIMD", ""))
_built: ModuleType | None = load(os.environ.get("POCKETREC_NATIVE", ""))
_active: Any = _built


def backend() -> Backend:
    """Which code computes lookups and updates on the CPU: "compiled" or "reference"."""
    return "reference" if _active is None else "compiled"


def kernels() -> Any:
    """The compiled module if it computes now, else None."""
    return _active


def kernels_for(tensor: Tensor) -> Any:
    """The compiled module if it computes for the device of `tensor`, else None."""
    return _active if tensor.is_cpu else None


def simd() -> str | None:
    """The SIMD level that the kernels use: "generic", "avx2" or "avx512"; None where the references compute."""
    return None if _active is None else str(_active.simd())


def simd_available() -> str | None:
    """The level that this machine supports, whatever POCKETREC_SIMD says; None where the references compute."""
    return None if _active is None else str(_active.simd_available())


@contextmanager
def use_backend(name: Backend) -> Iterator[None]:
    """Compute with the named backend inside the ``with``, in all threads. For tests and comparisons.

    Raises:
        NativeError: "compiled" was asked for and is not there.
    """
    global _active
    if name == "compiled" and _built is None:
        raise NativeError(f"{_MODULE} is not there (not built, or POCKETREC_NATIVE=0).")
    before, _active = _active, _built if name == "compiled" else None
    try:
        yield
    finally:
        _active = before
