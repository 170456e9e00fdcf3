"""Budget: how many bytes are allowed. A ceiling, never a target.

Text forms: ``"64MiB"``, ``"1.5 GB"``, ``"20236"`` (absolute bytes), ``"16x"`` (sixteen times smaller than dense
float32 tables), ``"5%"`` (of dense float32 tables). A relative budget is against rows x dim x 4 bytes over the
distinct training ids plus one unknown per table, before any folding.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

from pocketrec.spec.errors import BudgetTextError
from pocketrec.spec.table import TableSpec

__all__ = ["Budget", "dense_float32_bytes"]

_UNITS = {
    "": 1, "b": 1, "byte": 1, "bytes": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
# A comma stands between thousands only: "1,5 GB" is refused rather than read as 15.
_NUMBER = r"(?:[0-9]+(?:_[0-9]+)*|[0-9]{1,3}(?:,[0-9]{3})+)(?:\.[0-9]+)?"
_TEXT = re.compile(rf"\s*({_NUMBER})\s*(x|%|[kmgt]i?b|b|bytes?|)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A ceiling in bytes: absolute, or as a fraction of dense float32 tables.

    Attributes:
        serve_bytes: absolute ceiling for serving, or None when `fraction` is given.
        fraction: share of the dense float32 bytes of the tables, 0 < fraction, or None.
        train_bytes: second, absolute ceiling for training (parameters, shadows, optimizer state), or None.
    """

    serve_bytes: int | None = None
    fraction: Fraction | None = None
    train_bytes: int | None = None

    def __post_init__(self) -> None:
        if (self.serve_bytes is None) == (self.fraction is None):
            raise BudgetTextError("A budget is either absolute bytes or a fraction of the dense tables, exactly one.")
        amount = self.serve_bytes if self.serve_bytes is not None else self.fraction
        if amount is not None and amount <= 0:
            raise BudgetTextError(f"A budget must be above 0, got {amount}.")
        if self.train_bytes is not None and self.train_bytes <= 0:
            raise BudgetTextError(f"A training budget must be above 0 bytes, got {self.train_bytes}.")

    @staticmethod
    def parse(text: str | int | Budget, *, train: str | int | None = None) -> Budget:
        """A budget from its text form, from an int of bytes, or from a Budget (returned as it is but for `train`).

        >>> Budget.parse("64MiB").serve_bytes
        67108864
        >>> Budget.parse("16x").fraction
        Fraction(1, 16)
        >>> Budget.parse("5%").fraction
        Fraction(1, 20)
        """
        train_bytes = None if train is None else Budget.parse(train).absolute("a training budget")
        if isinstance(text, Budget):
            return text if train_bytes is None else replace(text, train_bytes=train_bytes)
        if isinstance(text, int) and not isinstance(text, bool):
            return Budget(serve_bytes=text, train_bytes=train_bytes)
        found = _TEXT.fullmatch(text) if isinstance(text, str) else None
        if not found:
            raise BudgetTextError(
                f"Cannot read the budget {text!r}. Write bytes (64MiB, 20236), a ratio (16x) or a share (5%)."
            )
        number = Fraction(found[1].replace(",", "").replace("_", ""))
        unit = found[2].lower()
        if number == 0:
            raise BudgetTextError(f"A budget must be above 0, got {text!r}.")
        if unit == "x":
            return Budget(fraction=1 / number, train_bytes=train_bytes)
        if unit == "%":
            return Budget(fraction=number / 100, train_bytes=train_bytes)
        return Budget(serve_bytes=int(number * _UNITS[unit]), train_bytes=train_bytes)

    def absolute(self, what: str = "this budget") -> int:
        """The absolute bytes; an error for a relative budget."""
        if self.serve_bytes is None:
            raise BudgetTextError(f"{what} must be absolute bytes (such as 64MiB), not relative.")
        return self.serve_bytes

    def resolve(self, tables: Iterable[TableSpec]) -> int:
        """The ceiling in bytes for these tables. Open tables (rows=None) take absolute budgets only."""
        if self.serve_bytes is not None:
            return self.serve_bytes
        assert self.fraction is not None
        return int(dense_float32_bytes(tables) * self.fraction)

    def __str__(self) -> str:
        if self.serve_bytes is not None:
            return f"{self.serve_bytes:,} bytes"
        assert self.fraction is not None
        for number, unit in ((1 / self.fraction, "x"), (100 * self.fraction, "%")):
            text = f"{float(number):.12g}"
            if "e" not in text and Fraction(text) == number:
                return f"{text}{unit}"
        return f"{float(1 / self.fraction):g}x"


def dense_float32_bytes(tables: Iterable[TableSpec]) -> int:
    """rows x dim x 4, summed: what plain float32 tables would take.

    >>> dense_float32_bytes([TableSpec(name="item", rows=10, dim=4)])
    160
    """
    total = 0
    for table in tables:
        if table.rows is None:
            raise BudgetTextError(f"Table {table.name!r} is open (rows=None): give an absolute budget such as 64MiB.")
        total += table.rows * table.dim * 4
    return total
