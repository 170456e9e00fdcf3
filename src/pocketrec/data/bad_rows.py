"""What happens to input that cannot be read: the first fault is an error, or all are counted and left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pocketrec.spec.errors import BadFile, BadRow, OptionError

__all__ = ["BadRows", "BadRowsMode"]

BadRowsMode = Literal["fail", "skip"]


class BadRows:
    """Collects faults.

    Args:
        mode: ``fail`` raises at the first fault, ``skip`` counts.
        counts: faults counted before, when work is resumed.
        skippable: whether the user can choose the mode, and errors shall say so. Rows to be scored are never skipped.
    """

    def __init__(self, mode: BadRowsMode, counts: Mapping[str, int] | None = None, *, skippable: bool = True) -> None:
        if mode not in ("fail", "skip"):
            raise OptionError(f"bad_rows must be 'fail' or 'skip', got {mode!r}.")
        self.mode, self.skippable = mode, skippable
        self.counts: dict[str, int] = dict(counts or {})

    def row(self, file: str, row: int, column: str | None, reason: str, text: object = None) -> None:
        """One bad row: raise BadRow, or count it under its column and reason.

        Args:
            file: path of the file.
            row: counted from 1, a header line not counted.
            column: name of the column; None when the whole row is wrong.
            reason: what is wrong, a few words without the value.
            text: the offending value.
        """
        if self.mode == "fail":
            shown = "" if text is None else f": {_short(text)}"
            raise BadRow(file, row, column, f"{reason}{shown}", skippable=self.skippable)
        self._count(reason if column is None else f"column {column}: {reason}")

    def file(self, file: str, reason: str, row: int, detail: str = "") -> None:
        """A file that cannot be read, or not to its end: raise BadFile, or count it.

        Args:
            file: path of the file.
            reason: what is wrong, a few words ("empty file", "truncated gzip").
            row: rows that could be read before, 0 or more.
            detail: what the library said, if anything.
        """
        if self.mode == "fail":
            said = f" ({detail})" if detail else ""
            skip = ", or pass --bad-rows skip (bad_rows='skip') to use the rows before it" if self.skippable else ""
            raise BadFile(file, f"{reason} after row {row}{said}. Get the file again{skip}.")
        self._count(f"file: {reason}")

    def _count(self, key: str) -> None:
        self.counts[key] = self.counts.get(key, 0) + 1


def _short(value: object) -> str:
    said = repr(value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value)
    return said if len(said) <= 60 else f"{said[:56]} ..."
