"""JSON in one reading only: what a stranger wrote is refused unless it means the same to everybody.

Refused are duplicate keys, NaN and infinities, numbers that overflow, nesting deeper than any of our files has, bytes
that are not UTF-8, and texts above a size. Python's own reader takes all of these, or dies of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from pocketrec.spec.errors import ArtifactCorrupt, ArtifactError

__all__ = ["DEPTH_LIMIT", "canonical", "parse", "plain"]

# Sizings are nested 8 deep. The limit is far below Python's recursion limit, so no later walk can overflow.
DEPTH_LIMIT = 64


class _Refused(ValueError):
    """Why a text is refused."""


def parse(raw: bytes, what: str) -> Any:
    """The value of a JSON text.

    Args:
        raw: UTF-8; the caller bounds its length. The value takes up to 60 times as many bytes (text of empty lists).
        what: named in the error.

    Raises:
        ArtifactCorrupt: it is not JSON, or one of the refusals above.
    """
    try:
        value = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant, parse_float=_finite
        )
        _check_depth(value)
    except (ValueError, RecursionError) as wrong:  # ValueError: JSON, UTF-8, integers of above 4,300 digits, ours
        reason = "it is nested too deeply" if isinstance(wrong, RecursionError) else str(wrong)
        raise ArtifactCorrupt(f"{what} cannot be read: {reason}.") from wrong
    return value


def canonical(value: Any) -> bytes:
    """The one text of a JSON value that is hashed: sorted keys, no spaces, ASCII.

    >>> canonical({"b": [1, 0.5], "a": None})
    b'{"a":null,"b":[1,0.5]}'
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.encode("ascii")


def plain(value: Any, where: str = "content", depth: int = 0) -> Any:
    """A copy in plain JSON values (tuples become lists), equal to what a reader will get.

    Raises:
        ArtifactError: something that JSON cannot say, or not without loss; the text names its place.
    """
    if depth > DEPTH_LIMIT - 8:  # the manifest adds a few levels around it
        raise ArtifactError(f"{where} is nested deeper than {DEPTH_LIMIT - 8} levels; an artifact cannot keep that.")
    if isinstance(value, Mapping):
        if odd := [key for key in value if type(key) is not str]:
            raise ArtifactError(f"{where} has the key {odd[0]!r}; an artifact keeps JSON, whose keys are strings.")
        return {key: plain(item, f"{where}.{key}", depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, f"{where}[{k}]", depth + 1) for k, item in enumerate(value)]
    if value is None or type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value)):
        return value
    raise ArtifactError(
        f"{where} is {value!r} ({type(value).__name__}); an artifact keeps JSON: convert it to a string, a finite "
        "float, an int, a list or a dict."
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _Refused(f"the key {twice[:80]!r} stands twice in one object")
    return made


def _constant(text: str) -> NoReturn:
    raise _Refused(f"{text} is not a JSON number")


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise _Refused(f"the number {text[:80]} is too large")
    return number


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEPTH_LIMIT):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return
    raise _Refused(f"it is nested deeper than {DEPTH_LIMIT} levels")
