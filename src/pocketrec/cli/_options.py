"""Options that several commands share, and how key=value texts become values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from pocketrec.spec.errors import OptionError

__all__ = ["Cache", "Json", "Option", "Storage", "pairs"]

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Cache = Annotated[
    Path | None, typer.Option("--cache", help="Folder of encoded data.", show_default="~/.cache/pocketrec")
]
Storage = Annotated[
    str | None, typer.Option("--storage", help="float32, float16, bfloat16 or int8.", show_default="float32")
]
Option = Annotated[
    list[str] | None, typer.Option("--option", "-o", help="An option of the method, key=value (such as block=8).")
]


def pairs(texts: list[str] | None, what: str) -> dict[str, Any]:
    """Key=value texts as a mapping; values are read as YAML scalars.

    >>> pairs(["block=8", "sign=false", "storage=int8"], "--option")
    {'block': 8, 'sign': False, 'storage': 'int8'}
    """
    found: dict[str, Any] = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise OptionError(f"{what} {text!r} is not of the form key=value.")
        found[key] = yaml.safe_load(value)
    return found
