"""Split: which rows train, which choose, which judge."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Any, Literal, TypeVar

import numpy as np
import pyarrow as pa

from pocketrec.data.mixing import mix64
from pocketrec.data.values import moments_in_time
from pocketrec.spec.errors import OptionError

__all__ = ["PARTS", "Part", "Split", "Through", "parts_through"]

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, Part, Part] = ("train", "validation", "test")

Through = Literal["train", "validation"]
"""The last part whose rows count as training rows: ``validation`` for a refit on all but the test rows."""

LEFT_OUT = len(PARTS)
_Number = TypeVar("_Number", int, Fraction)


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """How rows are divided.

    Attributes:
        by: ``time`` takes consecutive rows (in file order, or by the schema's time column, rows of equal time in file
            order); ``hash`` draws them by the hash of a key, so that all rows of one key fall into one part; ``files``
            takes whole files.
        train: share of the rows for training, a fraction or a text such as "27/35"; exact.
        validation: share for choosing epochs and settings.
        test: share for the last judgement. Shares that add up to less than 1 leave the last rows out.
        key: by hash only: the categorical field whose token decides; None: the number of the row.
        seed: by hash only: another seed, another draw.
        row_counts: by time only: numbers of rows in place of shares, see :meth:`rows`.
        cuts: by time only, in place of shares: the time of the first validation row and that of the first test row, in
            the unit of the schema's time column, or as ISO 8601 texts where its clock is iso8601.
        file_counts: by files only: how many of the files train, choose and judge, in their order. None: the last one
            judges, the one before it chooses, all others train.
    """

    by: Literal["time", "hash", "files"] = "time"
    train: Fraction | str | int = Fraction(8, 10)
    validation: Fraction | str | int = Fraction(1, 10)
    test: Fraction | str | int = Fraction(1, 10)
    key: str | None = None
    seed: int = 0
    row_counts: tuple[int, int, int] | None = None
    cuts: tuple[float | str, float | str] | None = None
    file_counts: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        if self.by not in ("time", "hash", "files"):
            raise OptionError(f"A split is by 'time', by 'hash' or by 'files', not by {self.by!r}.")
        for part in PARTS:
            object.__setattr__(self, part, _fraction(getattr(self, part), part))
        if any(share < 0 for share in self.shares) or sum(self.shares) > 1:
            said = ", ".join(f"{part} {share}" for part, share in zip(PARTS, self.shares, strict=True))
            raise OptionError(
                f"The shares of a split must not be negative nor add up to more than 1, got {said}. "
                "Give all three, such as train=8/10 validation=1/10 test=1/10."
            )
        if self.by != "hash" and (self.key is not None or self.seed):
            raise OptionError("key and seed belong to a split by hash.")
        if self.row_counts is not None and (self.by != "time" or min(self.row_counts) < 0):
            raise OptionError(f"Numbers of rows belong to a split by time and are not negative, got {self.row_counts}.")
        if self.cuts is not None and (self.by != "time" or self.row_counts is not None):
            raise OptionError("cuts belong to a split by time, in place of shares and numbers of rows.")
        if self.file_counts is not None and (self.by != "files" or min(self.file_counts) < 0):
            raise OptionError(f"Numbers of files belong to a split by files and are not negative: {self.file_counts}.")

    @staticmethod
    def rows(*, train: int, validation: int = 0, test: int = 0) -> Split:
        """A split by time with numbers of rows; rows beyond their sum are left out."""
        return Split(row_counts=(train, validation, test))

    @property
    def by_row(self) -> bool:
        """Whether the part of a row is known as soon as the row is read, and not from how many rows there are."""
        return self.by != "time" or self.cuts is not None

    @property
    def shares(self) -> tuple[Fraction, Fraction, Fraction]:
        """The shares of the three parts."""
        return Fraction(self.train), Fraction(self.validation), Fraction(self.test)

    def ends(self, rows: int) -> tuple[int, int, int]:
        """For a split by time: the position after the last row of each part, of so many rows in order of time.

        Raises:
            OptionError: when numbers of rows were asked for and there are fewer.

        >>> Split(train="27/35", validation="3/35", test="1/7").ends(137139)
        (105792, 117547, 137139)
        """
        if self.row_counts is None:
            train, validation, test = (int(rows * share) for share in _running(self.shares))
            return train, validation, test
        train, validation, test = _running(self.row_counts)
        if test > rows:
            raise OptionError(f"The split wants {test:,} rows, there are {rows:,}.")
        return train, validation, test

    def parts_of(self, hashes: np.ndarray) -> np.ndarray:
        """For a split by hash: int8 [n] of 0 train, 1 validation, 2 test, 3 left out.

        Args:
            hashes: int64 [n], hash63 of the key's token, or the number of the row.
        """
        # Mixed again: methods hash the same ids, and a bucket of a table must not mean a part of the data.
        drawn = mix64(hashes.astype(np.uint64) ^ mix64(np.array([self.seed + 1], dtype=np.uint64)))
        edges = np.array([min(int(share * 2**64), 2**64 - 1) for share in _running(self.shares)], dtype=np.uint64)
        return np.searchsorted(edges, drawn, side="right").astype(np.int8)

    def parts_by_time(self, times: np.ndarray, clock: Literal["number", "iso8601"]) -> np.ndarray:
        """For a split by time with cuts: int8 [n] of 0 train, 1 validation, 2 test.

        Args:
            times: [n] in the unit of the schema's time column; microseconds since 1970 where its clock is iso8601.
            clock: of the time column.
        """
        assert self.cuts is not None
        edges = np.array([_moment(cut, clock) for cut in self.cuts])
        if edges[0] > edges[1]:
            raise OptionError(f"Validation begins at {self.cuts[0]} and test before it, at {self.cuts[1]}.")
        return np.searchsorted(edges, times, side="right").astype(np.int8)

    def part_of_file(self, number: int, files: int) -> int:
        """For a split by files: 0 train, 1 validation, 2 test.

        Args:
            number: of the file, from 0.
            files: how many there are.

        Raises:
            OptionError: there are fewer than two files, or not as many as the split says.
        """
        counts = self.file_counts or (files - 2, 1, 1)
        if sum(counts) != files or counts[0] < 1:
            wanted = "at least three files" if self.file_counts is None else f"{' + '.join(map(str, counts))} files"
            raise OptionError(f"The split by files wants {wanted}, there are {files}.")
        return sum(number >= end for end in _running(counts)[:-1])

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; :meth:`from_json` gives an equal split back."""
        shares: dict[str, str] = {part: str(share) for part, share in zip(PARTS, self.shares, strict=True)}
        counts = None if self.row_counts is None else list(self.row_counts)
        later = {"cuts": self.cuts, "file_counts": self.file_counts}  # left out where unused, as they were before
        return {
            "by": self.by, **shares, "key": self.key, "seed": self.seed, "row_counts": counts,
            **{key: list(value) for key, value in later.items() if value is not None},
        }  # fmt: skip

    @staticmethod
    def from_json(data: dict[str, Any]) -> Split:
        """The inverse of :meth:`to_json`."""
        lists = {key: tuple(data[key]) for key in ("row_counts", "cuts", "file_counts") if data.get(key) is not None}
        return Split(**{**data, **lists})


def parts_through(through: Through) -> tuple[Part, ...]:
    """The parts that count as training rows."""
    if through not in ("train", "validation"):
        raise OptionError(f"through must be 'train' or 'validation', got {through!r}.")
    return PARTS[: PARTS.index(through) + 1]


def _fraction(value: Fraction | str | int, part: str) -> Fraction:
    if isinstance(value, float):
        raise OptionError(f'{part} must be exact: write "{value}" or a fraction such as "1/7", not the float {value}.')
    try:
        return Fraction(value)
    except (ValueError, ZeroDivisionError, TypeError):
        raise OptionError(f'{part} must be a fraction such as "1/7" or "0.1", got {value!r}.') from None


def _moment(cut: float | str, clock: Literal["number", "iso8601"]) -> float:
    """A cut in the unit of the time column."""
    if clock == "number":
        if isinstance(cut, str):
            raise OptionError(f"The time column holds numbers; the cut {cut!r} is a text. Give a number.")
        return cut
    found = moments_in_time(pa.array([str(cut)]))
    if found.wrong[0] or found.missing[0]:
        raise OptionError(f"The cut {cut!r} is not a time such as 2014-10-21T00:00:00.")
    return int(found.values[0])


def _running(numbers: tuple[_Number, _Number, _Number]) -> list[_Number]:
    return list(accumulate(numbers))
