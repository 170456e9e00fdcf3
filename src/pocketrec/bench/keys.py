"""Values of a TOML table, taken key by key; what is wrong is told with its place and the nearest key."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pocketrec.spec.errors import OptionError
from pocketrec.spec.kinds import adapter, sentences

__all__ = ["Keys", "nearest"]


class Keys:
    """One table of a file.

    Args:
        table: its values.
        where: the file and the place within it, for errors ("quick.toml: data[0]").
    """

    def __init__(self, table: object, where: str) -> None:
        if not isinstance(table, Mapping):
            raise OptionError(f"{where} must be a table of keys and values, got {table!r}.")
        self._left: dict[str, Any] = dict(table)
        self._asked: list[str] = []
        self.where = where

    def take(self, key: str, kind: Any, default: Any = None) -> Any:
        """The value of a key, checked; the default where the key is not there.

        Args:
            key: its name.
            kind: a type that pydantic knows, such as ``tuple[str, ...]``.
            default: what stands for a key that is not there.
        """
        from pydantic import ValidationError

        self._asked.append(key)
        if key not in self._left:
            return default
        try:
            return adapter(kind).validate_python(self._left.pop(key))
        except ValidationError as wrong:
            raise OptionError(f"{self.where}: {key}: {sentences(wrong)}.") from wrong

    def rest(self, known: Iterable[str]) -> dict[str, Any]:
        """What was not taken: values of a run by dotted key, whose first parts must be known.

        Args:
            known: first parts.
        """
        taken = [*self._asked, *known]
        for key in self._left:
            if key.split(".")[0] not in known:
                raise OptionError(f"{self.where}: {key}: there is no such key{nearest(key, taken)}.")
        return self._left


def nearest(key: str, known: Iterable[str]) -> str:
    """What to say behind "there is no such key": the nearest one, or all of them.

    >>> nearest("budget", ["budgets", "methods"])
    "; did you mean 'budgets'?"
    """
    names = list(dict.fromkeys(known))
    near = difflib.get_close_matches(key, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(names)}"
