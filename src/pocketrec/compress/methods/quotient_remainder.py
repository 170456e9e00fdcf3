"""Every id keeps a vector of its own: one row for its quotient combined with one for its remainder.

Paper: Shi et al., Compositional Embeddings Using Complementary Partitions, KDD 2020, arXiv:1909.02107.
Bytes: stored row x (ceil(rows / m) + m), summed over the tables, + 8 for the seed; m, the number of remainders, is the
    smallest that fits. A table that this would not make smaller stays exact.
Use when: no two ids may share a vector and there are no counts. On Frappe it is level with robe, and far
    ahead of folding and hashing, at 10x (.949) and 20x (.940; robe .937, hash_rows .811, docs/results.md).
Did not help when: the budget is below about two square roots of the rows (the floor). At 10x on the Criteo sample it
    was the last of six (.7525 against .7604 of min_count and .7554 of narrow, docs/results.md): the hot ids share rows
    with everybody else. Last on KuaiRand at 10x, too (.6828). With L2 the product of two rows may die: each factor's
    gradient shrinks with the other (Frappe with L2 .01: AUC .49); take 10 times less than for full tables.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal, final

from pocketrec.compress.access import Access, Combine
from pocketrec.compress.addressing._program import Addressing
from pocketrec.compress.addressing.quotient_remainder import QuotientRemainder as Pair
from pocketrec.compress.addressing.quotient_remainder import permutation
from pocketrec.compress.addressing.row import Row
from pocketrec.compress.holdings import Fixed, Rows
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.init import bound, stream, uniform_
from pocketrec.compress.parts.seed import SEED, read_seed, write_seed
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.errors import OptionError
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group

__all__ = ["METHOD", "QuotientRemainder"]


@final
@dataclass(frozen=True, kw_only=True)
class QuotientRemainder(Method):
    """Compositional rows.

    Attributes:
        combine: ``product`` (the paper's choice) or ``sum``.
        divisor: ``per_table`` lets m of a small table stop at its square root, where it is smallest, and goes further
            down; ``global`` is one m for all tables, as the VLDB 2024 benchmark searches it.
    """

    name = "quotient_remainder"
    traits = Traits()

    combine: Literal["product", "sum"] = "product"
    divisor: Literal["per_table", "global"] = "per_table"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.combine not in ("product", "sum"):
            raise OptionError(f"quotient_remainder: combine is product or sum, not {self.combine!r}.")
        if self.divisor not in ("per_table", "global"):
            raise OptionError(f"quotient_remainder: divisor is per_table or global, not {self.divisor!r}.")

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        row_bytes = STORAGES.get(self.storage).row_bytes(tables[0].dim)
        return SEED.nbytes + row_bytes * self._rows(tables, self._least_divisor(tables))

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        rows = (budget_bytes - SEED.nbytes) // STORAGES.get(self.storage).row_bytes(tables[0].dim)
        # rows fall with m up to the square root of the largest table, so the smallest m that fits is found by bisection
        low, high = 1, self._least_divisor(tables)
        while low < high:
            middle = (low + high) // 2
            if self._rows(tables, middle) <= rows:
                high = middle
            else:
                low = middle + 1
        return Decision(tables=tuple(self._sized(t, high) for t in tables), settings={"remainders": high})

    def _remainders(self, table: TableSpec, m: int) -> int:
        """This table's number of remainders; 1 where composing would not make it smaller (one row each)."""
        n = table.closed_rows
        if self.divisor == "per_table":
            m = min(m, math.isqrt(n - 1) + 1)
        return m if -(-n // m) + m < n else 1

    def _rows(self, tables: Sequence[TableSpec], m: int) -> int:
        return sum(_held_rows(t.closed_rows, self._remainders(t, m)) for t in tables)

    def _least_divisor(self, tables: Sequence[TableSpec]) -> int:
        """The m with the fewest rows: near the square root of the largest table, or below for one m for all."""
        most = math.isqrt(max(t.closed_rows for t in tables) - 1) + 1
        if self.divisor == "per_table":
            return most
        return _argmin(lambda m: self._rows(tables, m), most)

    def _sized(self, table: TableSpec, m: int) -> TableSizing:
        n, own = table.closed_rows, self._remainders(table, m)
        settings = {"remainders": own, "quotients": -(-n // own)}
        return TableSizing(
            table=table, ids=table.ids, told_apart=n - 1 if table.ids == "rank" else 0, settings=settings
        )

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Rows, Fixed]:
        return Rows("rows", sum(_pieces(tables)), tables[0].table.dim), SEED.holding

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        import torch  # here, not above: sizing answers without it

        write_seed(group, seed)
        sized = group.sizing.tables
        pieces = torch.split(group.tensor("rows").data, _pieces(sized))
        for index, t in enumerate(sized):
            width = bound(t.table, self.init)
            if int(t.settings["remainders"]) > 1:
                width = self._factor(width)
            uniform_(pieces[2 * index], width, seed=stream(seed, index, 0))
            uniform_(pieces[2 * index + 1], width, seed=stream(seed, index, 1))

    def _factor(self, width: float) -> float:
        """Half-width of each factor, so that the composed number has the variance of U(-width, width).

        Var of a product of two U(-b, b) is (b^2/3)^2 and must be width^2/3, so b = sqrt(width sqrt 3); of a sum
        2 b^2/3 = width^2/3, so b = width / sqrt 2. With both factors at `width` products would start near width^2,
        too small to learn from, and sums twice too wide (facebookresearch/dlrm issue 326).
        """
        return math.sqrt(width * math.sqrt(3)) if self.combine == "product" else width / math.sqrt(2)

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        seed, sized = read_seed(tensors), sizing.tables
        first = [0, *accumulate(_pieces(sized))]
        addressing = [_addressing(t, first[2 * i], first[2 * i + 1], stream(seed, i)) for i, t in enumerate(sized)]
        return Access(
            regions=("rows",), addressing=addressing, width=sized[0].table.dim, parts=2, combine=Combine[self.combine]
        )


def _held_rows(rows: int, remainders: int) -> int:
    return rows if remainders == 1 else -(-rows // remainders) + remainders


def _pieces(tables: Sequence[TableSizing]) -> list[int]:
    """Rows of every quotient and remainder piece in the stacked tensor; an exact table has no remainder rows."""
    pieces: list[int] = []
    for t in tables:
        remainders = int(t.settings["remainders"])
        pieces += [int(t.settings["quotients"]), remainders if remainders > 1 else 0]
    return pieces


def _addressing(t: TableSizing, quotient_start: int, remainder_start: int, seed: int) -> Addressing:
    rows, remainders = t.table.closed_rows, int(t.settings["remainders"])
    if remainders == 1:
        return Row(start=quotient_start, rows=rows)
    multiplier, shift = permutation(rows, seed)
    return Pair(
        rows=rows, remainders=remainders, quotient_start=quotient_start, remainder_start=remainder_start,
        multiplier=multiplier, shift=shift,
    )  # fmt: skip


def _argmin(cost: Any, most: int) -> int:
    """The smallest m in 1..most with the least cost, by shrinking around the least of a coarse grid."""
    low, high = 1, most
    while high - low > 64:
        step = (high - low) // 32
        best = min(range(low, high + 1, step), key=cost)
        low, high = max(low, best - step), min(high, best + step)
    return min(range(low, high + 1), key=cost)


METHOD = QuotientRemainder
