"""Options that several commands share, and how key=value texts become values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from pocketrec.cli import _complete
from pocketrec.spec.errors import OptionError

__all__ = ["BadRows", "Cache", "Json", "Option", "Quiet", "Storage", "method_options", "nested", "pairs"]

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]
Cache = Annotated[
    Path | None, typer.Option("--cache", help="Folder of encoded data.", show_default="~/.cache/pocketrec")
]
BadRows = Annotated[
    str | None,
    typer.Option("--bad-rows", help="fail at the first row that cannot be read, or skip and count such rows.",
                 show_default="fail", autocompletion=_complete.bad_rows),
]  # fmt: skip
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage", show_default="the method's own", autocompletion=_complete.storages,
        help="float32, or rounded when training is over: float16, bfloat16, int16, int8, int4; kept so while training, "
        "too: the same but int4 with _trained at the end, and alpt; read so while training: int4_qat, int4_table, lsq, "
        "lsq8. The page of each method says which it takes.",
    ),
]  # fmt: skip
Option = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-o",
        help="An option of the method, key=value (such as block=8; cold_options.block=8 for one of a method inside).",
    ),
]


def pairs(texts: list[str] | None, what: str) -> dict[str, Any]:
    """Key=value texts as a mapping; values are read as YAML.

    >>> pairs(["block=8", "sign=false", "storage=int8"], "--option")
    {'block': 8, 'sign': False, 'storage': 'int8'}
    """
    found: dict[str, Any] = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise OptionError(f"{what} {text!r} is not of the form key=value.")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError as wrong:
            raise OptionError(f"{what} {text!r}: the value cannot be read: {' '.join(str(wrong).split())}.") from wrong
    return found


def method_options(option: list[str] | None, storage: str | None) -> dict[str, Any]:
    """The options of a method from ``--option`` and ``--storage``."""
    return pairs(option, "--option") | ({} if storage is None else {"storage": storage})


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted key as mappings within mappings.

    >>> nested({"cold": "robe", "cold_options.block": 8})
    {'cold': 'robe', 'cold_options': {'block': 8}}
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        *path, last = key.split(".")
        place = found
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise OptionError(f"{key}: {part} is {place!r}, it has no keys of its own.")
        place[last] = value
    return found
