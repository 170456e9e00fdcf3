"""What is wrong with the rows of a log: counted by column and reason, with the first examples and what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, final

from pocketrec.data.bad_rows import BadRows

__all__ = ["Example", "Fault", "FaultLog"]

_EXAMPLES = 3
_SHOWN = 60

# What to change when a reason (the pattern) is met; the first that fits. Every row can also be skipped.
_NEXT = (
    (r"may stand inside the row", "take that line break out of the row, or write all of one kind"),
    (r"label not 0 or 1", "give the label a threshold (1 stands for numbers at or above it)"),
    (
        r"not an? (finite )?number$",
        "mend the value (a missing one is empty, in Parquet null), or, if these are tokens, make it kind: categorical",
    ),
    (r"beyond the range of float32", "mend the value, or leave the column out"),
    (r"not a hexadecimal token", "make it tokens: text"),
    (r"not a whole number|not an id from|plain ids cannot be", "raise rows, or make it ids: rank"),
    (r"not (a token|tokens)", "leave the column out, or write it as text or whole numbers"),
    (r"not a time|time missing", "mend the value, set clock: number or clock: iso8601, or leave the column out"),
    (r"label missing", "leave such rows out"),
    (r"weight", "mend the value, or leave the weight out"),
    (r"columns instead of", "check delimiter, header and quotes, and that the schema names the columns of this file"),
    (r"truncated|not a whole|empty file", "get the file again"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One bad row.

    Attributes:
        file: its path.
        row: its number in the file, from 1, a header line not counted; rows read before, for a damaged file.
        value: what stood there, shortened; None when the row (or file) as a whole is wrong.
    """

    file: str
    row: int
    value: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Bad rows of one kind.

    Attributes:
        column: where; None when rows (or files) as a whole are wrong.
        reason: what is wrong, without the value.
        count: how many rows (or files).
        examples: the first few.
        next_step: what to do, a phrase.
    """

    column: str | None
    reason: str
    count: int
    examples: tuple[Example, ...]
    next_step: str


@final
class FaultLog(BadRows):
    """Skips bad rows and remembers the first of each kind. `last_row`: rows of a file beyond it are not counted."""

    def __init__(self) -> None:
        super().__init__("skip")
        self.last_row: int | None = None
        self.rows = 0
        self._kinds: dict[tuple[str | None, str], list[Any]] = {}

    def row(self, file: str, row: int, column: str | None, reason: str, text: object = None) -> None:
        if self.last_row is not None and row > self.last_row:
            return
        super().row(file, row, column, reason, text)
        self.rows += 1
        self._note(column, reason, Example(file=file, row=row, value=None if text is None else _shown(text)))

    def file(self, file: str, reason: str, row: int, detail: str = "") -> None:
        super().file(file, reason, row, detail)
        self._note(None, reason, Example(file=file, row=row, value=detail or None))

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The kinds, the most frequent first."""
        found = [
            Fault(
                column=column, reason=reason, count=count, examples=tuple(examples),
                next_step=_next_step(reason),
            )
            for (column, reason), (count, *examples) in self._kinds.items()
        ]  # fmt: skip
        return tuple(sorted(found, key=lambda fault: -fault.count))

    def _note(self, column: str | None, reason: str, example: Example) -> None:
        kind = self._kinds.setdefault((column, reason), [0])
        kind[0] += 1
        if len(kind) <= _EXAMPLES:
            kind.append(example)


def _next_step(reason: str) -> str:
    advice = next((said for pattern, said in _NEXT if re.search(pattern, reason)), "mend the value")
    return f"{advice}; or --bad-rows skip to go on without such rows"


def _shown(value: object) -> str:
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 4]} ..."
