"""TableSpec: rows x dim vectors, before anybody decided how to store them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from pocketrec.spec.errors import OptionError

__all__ = ["Head", "IdSpace", "TableSpec", "WantedIds"]

IdSpace = Literal["rank", "plain", "hash63"]
"""What an encoded id is.

``rank``: 0 is unknown, 1, 2, ... are tokens in order of training frequency, in an append-only vocabulary.
``plain``: the user's own ids, 0 <= id < rows.
``hash63``: the non-negative 63-bit hash of the raw token; there is no vocabulary.
"""


@dataclass(frozen=True, slots=True)
class Head:
    """Ids of which the frequent ones are told apart: the rank up to `ranks`, the hash63 of the token above.

    A vocabulary of the frequent tokens is all that this takes; of all others nothing is kept. (A hash is taken for a
    rank with probability ranks / 2^63.)

    Attributes:
        ranks: how many tokens are told apart, 0 or more.
    """

    ranks: int

    def __post_init__(self) -> None:
        if self.ranks < 0:
            raise OptionError(f"A head tells 0 or more tokens apart, not {self.ranks}.")


WantedIds = IdSpace | Head
"""What ids a bank wants of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSpec:
    """One table.

    Attributes:
        name: unique among the tables of a model.
        rows: number of encoded ids (for ``rank``: distinct training tokens plus one unknown), or None for an open
            table.
        dim: numbers per vector, 1 or more.
        ids: what the ids are, see :data:`IdSpace`.
    """

    name: str
    rows: int | None
    dim: int
    ids: IdSpace = "plain"

    def __post_init__(self) -> None:
        if not self.name:
            raise OptionError("A table needs a name.")
        if self.rows is not None and self.rows < 1:
            raise OptionError(f"Table {self.name!r} has {self.rows} rows; at least 1 is needed.")
        if self.dim < 1:
            raise OptionError(f"Table {self.name!r} has dim {self.dim}; at least 1 is needed.")
        if self.ids not in get_args(IdSpace):
            known = ", ".join(get_args(IdSpace))
            raise OptionError(f"Table {self.name!r} has ids {self.ids!r}; they must be one of {known}.")
        if self.rows is None and self.ids != "hash63":
            raise OptionError(f"Table {self.name!r} is open (rows=None); its ids must be hash63, not {self.ids}.")

    @property
    def closed_rows(self) -> int:
        """The rows of a closed table; an error for an open one."""
        if self.rows is None:
            raise OptionError(
                f"Table {self.name!r} is open (rows=None), but this method must know how many rows there are."
            )
        return self.rows
