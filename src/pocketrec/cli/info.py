"""What is installed: versions, which kernels are in use, methods, storages and models."""

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
    from pocketrec.native import backend

    about: dict[str, Any] = {
        "pocketrec": pocketrec.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "kernels": backend(),
        "threads": torch.get_num_threads(),
        "methods": METHODS.names(),
        "storages": STORAGES.names(),
        "models": MODELS.names(),
    }
    if json:
        say_json(about)
        return
    for key, value in about.items():
        say(f"{key:10} {', '.join(value) if isinstance(value, list) else value}")
    if about["kernels"] == "reference":
        say("The compiled kernels are not in use: lookups run on plain torch, right but slower.")
        say("With a C++17 compiler at hand, install again: pip install --force-reinstall pocketrec")
