"""A schema for lines of ``label index:value ...`` (libsvm, libFM) or ``label field:index:value ...`` (libffm)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pocketrec.data.propose.guess import Guess
from pocketrec.spec.schema import DenseTransform, Field

__all__ = ["sparse_guesses"]

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_LINE = re.compile(rf"({_NUMBER})((?:\s+\d+:(?:\d+:)?{_NUMBER})+)\s*(?:#.*)?")
_MOST_NUMBERS = 64
_TRANSFORM = DenseTransform(standardise=True)


def sparse_guesses(lines: Sequence[str]) -> tuple[Guess, ...] | None:
    """One guess per field of the first lines of a file; None for lines that are not of these forms.

    >>> [(g.name, g.field.kind) for g in sparse_guesses(["1 3:1 7:1", "0 3:1 9:1"])]
    [('label', 'label'), ('f1', 'categorical'), ('f2', 'categorical')]
    """
    matched = [_LINE.fullmatch(line) for line in lines]
    rows = [m[2].split() for m in matched if m is not None]
    if not lines or len(rows) < len(lines):
        return None
    items = [[item.split(":") for item in row] for row in rows]
    parts = {len(item) for row in items for item in row}
    if len(parts) > 1:
        return None
    inputs = _triples(items) if parts == {3} else _pairs(items)
    return None if inputs is None else (_label([m[1] for m in matched if m is not None]), *inputs)


def _label(texts: Sequence[str]) -> Guess:
    numbers = sorted({float(text) for text in texts})
    if set(numbers) <= {-1.0, 0.0, 1.0}:
        return Guess(name="label", field=Field(name="label", kind="label"), reason="the first number of every line")
    field = Field(name="label", kind="label", threshold=numbers[len(numbers) // 2])
    return Guess(name="label", field=field, reason="the first number; from the threshold on it counts as 1")


def _pairs(items: Sequence[Sequence[Sequence[str]]]) -> tuple[Guess, ...] | None:
    lengths = {len(row) for row in items}
    if all(float(pair[1]) == 1 for row in items for pair in row):
        if len(lengths) > 1:
            bag = Field(name="features", kind="categorical", many=True)
            return (
                Guess(name=bag.name, field=bag, reason="all indices of a line, of which lines have various numbers"),
            )
        reason = f"every line has {min(lengths)} pairs of value 1"
        return tuple(_token(f"f{place + 1}", f"pair {place + 1}; {reason}") for place in range(min(lengths)))
    tokens = {int(pair[0]) for row in items for pair in row if float(pair[1]) == 1}
    numbers = sorted({int(pair[0]) for row in items for pair in row if float(pair[1]) != 1})
    if len(numbers) > _MOST_NUMBERS:
        return None
    found = [_number(str(index), f"the values of index {index}") for index in numbers]
    if tokens - set(numbers):
        bag = Field(name="features", kind="categorical", many=True)
        found.insert(0, Guess(name=bag.name, field=bag, reason="all indices of a line, of which most say 1"))
    return tuple(found)


def _triples(items: Sequence[Sequence[Sequence[str]]]) -> tuple[Guess, ...]:
    found = []
    for name in sorted({triple[0] for row in items for triple in row}, key=int):
        mine = [[triple for triple in row if triple[0] == name] for row in items]
        if not all(float(triple[2]) == 1 for row in mine for triple in row):
            found.append(_number(name, f"the values of field {name}"))
        elif max(map(len, mine)) > 1:
            bag = Field(name=name, kind="categorical", many=True)
            found.append(Guess(name=name, field=bag, reason=f"field {name}, several indices in a line"))
        else:
            found.append(_token(name, f"field {name}, one index in a line"))
    return tuple(found)


def _token(name: str, reason: str) -> Guess:
    return Guess(name=name, field=Field(name=name, kind="categorical"), reason=reason)


def _number(name: str, reason: str) -> Guess:
    return Guess(name=name, field=Field(name=name, kind="dense", transform=_TRANSFORM), reason=reason)
