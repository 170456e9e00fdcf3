"""What tuning may choose from: ranges and lists by dotted key."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pocketrec.bench.keys import Keys
from pocketrec.spec.errors import OptionError

__all__ = ["Choice", "Range", "Space", "space_from"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Numbers from low to high, both included.

    Attributes:
        low: the least; above 0 where `log`.
        high: the largest, above `low`.
        log: whether their logarithms are spread evenly.
        whole: whether only whole numbers count.
    """

    low: float
    high: float
    log: bool
    whole: bool

    def ends(self) -> tuple[Any, Any]:
        """Least and largest."""
        return self.low, self.high

    def holds(self, value: object) -> bool:
        """Whether it could be chosen."""
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return False
        return self.low <= value <= self.high and (isinstance(value, int) or not self.whole)

    def to_place(self, value: Any) -> Any:
        """The value as a number for the one who chooses."""
        return value

    def at_place(self, place: Any) -> Any:
        """The inverse of :meth:`to_place`."""
        return place


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of several values.

    Attributes:
        values: of JSON; a single one is kept to, such as where a method refuses the others.
    """

    values: tuple[Any, ...]

    def ends(self) -> tuple[Any, ...]:
        """All of them."""
        return self.values

    def holds(self, value: object) -> bool:
        """Whether it could be chosen."""
        return _plain(value) in self.values

    def to_place(self, value: Any) -> int:
        """The value as a number for the one who chooses: values may be lists, of which that one knows nothing."""
        return self.values.index(_plain(value))

    def at_place(self, place: int) -> Any:
        """The inverse of :meth:`to_place`."""
        return self.values[place]


Space = Mapping[str, Range | Choice]


def _plain(value: Any) -> Any:
    """A tuple as the list that a file has."""
    return list(value) if isinstance(value, tuple) else value


def space_from(table: object, where: str) -> Space:
    """Ranges (``{ low = 0.001, high = 0.1, log = true }``) and lists by dotted key; tables within tables are joined.

    Raises:
        OptionError: names place and key.
    """
    if not isinstance(table, Mapping):
        raise OptionError(f"{where} must be a table of ranges and lists, got {table!r}.")
    found: dict[str, Range | Choice] = {}
    for key, value in table.items():
        place = f"{where}: {key}"
        if isinstance(value, list):
            found[key] = _choice(value, place)
        elif isinstance(value, Mapping) and not {"low", "high"} & set(value):
            found |= {f"{key}.{inner}": of for inner, of in space_from(value, place).items()}
        elif isinstance(value, Mapping):
            found[key] = _range(value, place)
        else:
            raise OptionError(f"{place}: give a list of values or {{ low = ..., high = ... }}, got {value!r}.")
    return found


def _choice(values: list[Any], where: str) -> Choice:
    if not values or any(value in values[:k] for k, value in enumerate(values)):
        raise OptionError(f"{where}: a list to choose from has different values, or the one to keep to, got {values}.")
    return Choice(values=tuple(values))


def _range(table: Mapping[str, Any], where: str) -> Range:
    keys = Keys(table, where)
    low, high = keys.take("low", int | float), keys.take("high", int | float)
    log = keys.take("log", bool, default=False)
    keys.rest(())
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise OptionError(f"{where}: low must be below high and both finite, got {low} and {high}.")
    if log and low <= 0:
        raise OptionError(f"{where}: a range of log = true begins above 0, got low = {low}.")
    return Range(low=low, high=high, log=log, whole=isinstance(low, int) and isinstance(high, int))
