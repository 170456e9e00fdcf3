"""Values of the wrong kind for the fields of a dataclass, in words: "8" is not 8, nor is 8.5."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pocketrec.spec.errors import OptionError

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

__all__ = ["adapter", "check_kinds", "sentences"]


def check_kinds(kind: Any, values: Mapping[str, Any]) -> None:
    """Refuse values of the wrong kind; which fields there are the caller has looked at.

    Args:
        kind: a dataclass.
        values: plain values (of JSON; tuples are lists) by field.

    Raises:
        OptionError: every fault as ``field: what is wrong``.
    """
    from pydantic import ValidationError  # here, not above: it takes a tenth of a second to import

    try:
        adapter(kind).validate_json(json.dumps(dict(values)), strict=True)
    except ValidationError as wrong:
        raise OptionError(sentences(wrong)) from wrong
    except TypeError as wrong:
        raise OptionError(f"options are plain values: {wrong}.") from wrong


def sentences(wrong: ValidationError, no_such_key: Callable[[tuple[int | str, ...]], str] | None = None) -> str:
    """Every fault as `key: what is wrong`; those of the kinds that one key may have, together.

    Args:
        wrong: what pydantic found.
        no_such_key: what is said of a key that there is not, given its path.
    """
    said: dict[str, list[str]] = {}
    for fault in wrong.errors(include_url=False):
        path = tuple(part for part in fault["loc"] if part not in ("str", "int", "dict[str,any]"))
        what = str(fault["msg"]).removeprefix("Value error, ").replace("Input should", "it should")
        if no_such_key and fault["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            what = no_such_key(path)
        elif not fault["msg"].startswith("Value error"):
            what = f"{what}, got {_short(fault['input'])}"
        said.setdefault(".".join(map(str, path)), []).append(what)
    return "; ".join((f"{key}: " if key else "") + " or ".join(dict.fromkeys(what)) for key, what in said.items())


@functools.cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """What reads and checks a dataclass."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _short(value: object) -> str:
    said = repr(value)
    return said if len(said) <= 40 else f"{said[:36]} ..."
