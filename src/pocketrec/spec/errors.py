"""Every deliberate error of pocketrec.

::

    PocketrecError
    |-- BudgetError (ValueError)
    |   |-- BudgetTooSmall          the floor of a method is above the budget
    |   `-- BudgetTextError         "64MiB", "16x", "5%" could not be read
    |-- UnknownName (LookupError)   no method, storage, model, reader ... of that name
    |-- OptionError (ValueError)    an option of a method, a config or the command line
    |-- DataError (ValueError)
    |   |-- BadRow                  a row that cannot be read: file, row, column
    |   |-- BadFile                 a file that cannot be read: truncated, empty, wrong form
    |   `-- SchemaError             a schema that does not add up, or does not fit the file
    |-- IdError (IndexError)        ids out of the range of their table
    |-- ArtifactError (ValueError)
    |   |-- ArtifactCorrupt         bytes that do not match what the manifest says
    |   `-- ArtifactVersion         written by a newer pocketrec
    |-- TrainingError (RuntimeError)
    |   `-- NotFinite               a loss or gradient is NaN or infinite: nothing was changed
    |-- NativeError (RuntimeError)  the compiled part does not fit this package
    `-- CannotWrite (OSError)       a place that cannot be written to

Each inherits the builtin that a stranger would catch, and carries numbers and the next step in its text.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any

__all__ = [
    "ArtifactCorrupt",
    "ArtifactError",
    "ArtifactVersion",
    "BadFile",
    "BadRow",
    "BudgetError",
    "BudgetTextError",
    "BudgetTooSmall",
    "CannotWrite",
    "DataError",
    "IdError",
    "NativeError",
    "NotFinite",
    "OptionError",
    "PocketrecError",
    "SchemaError",
    "TrainingError",
    "UnknownName",
]


class PocketrecError(Exception):
    """Whatever pocketrec raises on purpose. It can be copied and sent between processes, text and attributes alike."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        # Python would call the constructor with the text alone, and constructors here take what the text is made of.
        return _made, (type(self), self.args), self.__dict__


def _made(kind: type[PocketrecError], args: tuple[Any, ...]) -> PocketrecError:
    return kind.__new__(kind, *args)


class BudgetError(PocketrecError, ValueError):
    """Something about a number of bytes."""


class BudgetTooSmall(BudgetError):
    """A method cannot fit these tables into the budget.

    Args:
        method: name of the method.
        budget_bytes: what was allowed.
        least_bytes: what the method needs at least (its floor).
        what: which bytes, "serve" or "train".
    """

    def __init__(self, method: str, budget_bytes: int, least_bytes: int, what: str = "serve") -> None:
        self.method, self.budget_bytes, self.least_bytes, self.what = method, budget_bytes, least_bytes, what
        super().__init__(
            f"{method} needs at least {least_bytes:,} {what} bytes for these tables, the budget is {budget_bytes:,}. "
            "Raise the budget or choose another method."
        )


class BudgetTextError(BudgetError):
    """A budget that could not be read."""


class UnknownName(PocketrecError, LookupError):
    """No thing of this kind is called so; the nearest names are offered.

    >>> raise UnknownName("method", "rob", ["full", "robe"])
    Traceback (most recent call last):
        ...
    pocketrec.spec.errors.UnknownName: No method called 'rob'. Did you mean 'robe'? Known: full, robe.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(sorted(known))
        near = difflib.get_close_matches(name, self.known, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        super().__init__(f"No {kind} called {name!r}. {hint}Known: {', '.join(self.known)}.")


class OptionError(PocketrecError, ValueError):
    """A setting that is unknown, of the wrong kind, or out of range."""


class DataError(PocketrecError, ValueError):
    """Something about the input data."""


class BadRow(DataError):
    """A row that cannot be read.

    Args:
        file: path of the file.
        row: number of the row, counted from 1 (a header line is not counted).
        column: name of the column, or None when the row as a whole is wrong.
        why: what is wrong, with the offending text.
        skippable: whether the caller could have asked for such rows to be skipped. Rows that are to be scored cannot.
    """

    def __init__(self, file: str, row: int, column: str | None, why: str, *, skippable: bool = True) -> None:
        self.file, self.row, self.column, self.why, self.skippable = file, row, column, why, skippable
        where = f", column {column}" if column is not None else ""
        advice = (
            "Mend the row, or pass --bad-rows skip (bad_rows='skip') to count and skip such rows."
            if skippable
            else "Mend the row, or leave it out."
        )
        super().__init__(f"{file}, row {row}{where}: {why}. {advice}")


class BadFile(DataError):
    """A file that cannot be read at all (truncated, empty, wrong form)."""

    def __init__(self, file: str, why: str) -> None:
        self.file, self.why = file, why
        super().__init__(f"{file}: {why}")


class SchemaError(DataError):
    """A schema that does not add up, or does not fit the file."""


class IdError(PocketrecError, IndexError):
    """Ids out of the range of their table."""


class ArtifactError(PocketrecError, ValueError):
    """Something about an artifact or a checkpoint on disk."""


class ArtifactCorrupt(ArtifactError):
    """Bytes on disk that do not match what the manifest says: nothing of them was used."""


class ArtifactVersion(ArtifactError):
    """An artifact written by a newer pocketrec than this one."""


class TrainingError(PocketrecError, RuntimeError):
    """Training cannot go on."""


class NotFinite(TrainingError):
    """A loss or a gradient is NaN or infinite. No row and no weight was changed by that batch."""


class NativeError(PocketrecError, RuntimeError):
    """The compiled part is there but does not fit this package."""


class CannotWrite(PocketrecError, OSError):
    """A file or folder that cannot be written.

    Args:
        place: as the user named it.
        reason: what is in the way, a phrase.
        next_step: what to do, a phrase.
    """

    def __init__(self, place: str, reason: str, next_step: str = "Choose another folder") -> None:
        self.place, self.reason, self.next_step = place, reason, next_step
        super().__init__(f"Cannot write {place}: {reason}. {next_step}.")

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        # An OSError keeps no arguments that its constructor was not given.
        return type(self), (self.place, self.reason, self.next_step), self.__dict__
