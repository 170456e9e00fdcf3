"""What is installed and in use: versions, kernels, SIMD level, threads, huge pages, methods, storages and models."""

from __future__ import annotations

import platform
from typing import Any

from pocketrec.cli._options import Json
from pocketrec.cli._output import say, say_json

__all__ = ["command"]


def command(json: Json = False) -> None:
    """See the head of this file."""
    import torch

    import pocketrec
    from pocketrec.compress import METHODS
    from pocketrec.compress.storage import STORAGES
    from pocketrec.models import MODELS
    from pocketrec.native import backend, simd, simd_available, threads
    from pocketrec.native.huge_pages import state

    about: dict[str, Any] = {
        "pocketrec": pocketrec.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "kernels": backend(),
        "simd": simd(),
        "simd_available": simd_available(),
        "threads": threads(),
        "torch_threads": torch.get_num_threads(),
        "huge_pages": state(),
        "methods": METHODS.names(),
        "storages": STORAGES.names(),
        "models": MODELS.names(),
    }
    if json:
        say_json(about)
        return
    for key, value in about.items():
        shown = ", ".join(value) if isinstance(value, list) else "-" if value is None else value
        say(f"{key:14} {shown}")
    if about["kernels"] == "reference":
        say("The compiled kernels are not in use: lookups run on plain torch, right but slower.")
        say("With a C++17 compiler at hand, install again: pip install --force-reinstall pocketrec")
