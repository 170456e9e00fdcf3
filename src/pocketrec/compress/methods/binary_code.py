"""The bits of an id are cut into blocks, each names a row of its own small table, and an id is the sum of these rows.

Paper: Yan, Wang, Liu, Lin, Lee, Xu, Zheng, Binary Code based Hash Embedding for Web-scale Applications, CIKM 2021,
    arXiv:2109.02471. The paper itself could not be read here: that blocks are of successive bits or of bits that skip
    others, and that their rows are summed, is from summaries of it and from a program by others. Whether its blocks
    share one table could not be told; ours have one each, else ids with the same blocks in another order were the same.
    The code is of the id itself and not of its hash, so that no two ids have the same rows. Products and concatenations
    are not offered: the kernels learn products of two rows only, and concatenate blocks of an array only.
Bytes: rows x stored row. Two blocks of half the bits are about 2 sqrt(n) rows for n ids. With L the bits of n - 1, in
    blocks of b successive bits, there are k = ceil(L / b) blocks and (k - 1) 2^b + floor((n - 1) / 2^((k - 1) b)) + 1
    rows; with `skip`, the sum of 2^bits over k blocks that are as equal as can be. A table that this would not make
    smaller is exact.
Use when: no two ids may have the same rows, in far fewer bytes than quotient_remainder reaches with its two: down to
    two rows per bit. It is better than that one at 10x of the Criteo sample (.002 behind full tables, .004) and goes
    down to 100x (.009).
Did not help when: every id matters: on Frappe .010 of AUC at 2x and .028 at 10x, more than quotient_remainder loses
    (.006, .025; docs/which_method.md). By arithmetic: the number of rows about doubles with each bit of a block, so
    parts of a budget stay unused; and the more blocks an id has, the more ids each of its rows is shared by.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, final

from pocketrec.compress.access import Access, Combine
from pocketrec.compress.addressing._program import Addressing
from pocketrec.compress.addressing.digits import Digits
from pocketrec.compress.addressing.row import Row
from pocketrec.compress.holdings import Rows
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.init import bound, stream, uniform_
from pocketrec.compress.parts.row_tables import per_table, starts, total_rows
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group

__all__ = ["METHOD", "BinaryCode"]

_CUTS: Final = ("succession", "skip")
_MOST_BITS: Final = 60


@final
@dataclass(frozen=True, kw_only=True)
class BinaryCode(Method):
    """Sums of rows of blocks of bits.

    Attributes:
        cut: ``succession``: each block is of successive bits, the first of the lowest, so that of ids in order of
            frequency the most frequent ones have different rows there; ``skip``: bits are dealt out to the blocks in
            turn.
        bits: of a block, 1 to 60 (the last block may have less, and with ``skip`` any of them); None takes the most
            that fit, one more for some tables than for others.
    """

    name = "binary_code"
    traits = Traits()

    cut: Literal["succession", "skip"] = "succession"
    bits: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("cut", self.cut in _CUTS, f"be one of {', '.join(_CUTS)}")
        self.require("bits", self.bits is None or 1 <= self.bits <= _MOST_BITS, f"lie in 1..{_MOST_BITS}")

    # -- sizes -------------------------------------------------------------------------------------------------------

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        levels = range(1, _MOST_BITS + 1) if self.bits is None else [self.bits]
        rows = min(sum(self._rows(t.closed_rows, bits) for t in tables) for bits in levels)
        return rows * STORAGES.get(self.storage).row_bytes(tables[0].dim)

    def _rows(self, ids: int, bits: int) -> int:
        """Rows of a table whose blocks have so many bits; all of its own where those are not fewer."""
        blocks, length = _blocks(ids, bits), _length(ids)
        if self.cut == "skip":
            return min(ids, sum(1 << len(range(block, length, blocks)) for block in range(blocks)))
        return min(ids, (blocks - 1 << bits) + (ids - 1 >> (blocks - 1) * bits) + 1)

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        given = budget_bytes // STORAGES.get(self.storage).row_bytes(tables[0].dim)
        if self.bits is not None:
            levels = [self.bits] * len(tables)
        else:
            levels = self._levels([t.closed_rows for t in tables], given)
        return Decision(tables=tuple(self._sized(t, b) for t, b in zip(tables, levels, strict=True)), settings={})

    def _levels(self, ids: Sequence[int], rows: int) -> list[int]:
        """Bits of a block per table: the most that fit in all alike, then one more in turn as long as that fits."""
        level = next(b for b in range(_MOST_BITS, 0, -1) if sum(self._rows(n, b) for n in ids) <= rows)
        levels, left = [level] * len(ids), rows - sum(self._rows(n, level) for n in ids)
        raised = True
        while raised:
            raised = False
            for index, (n, bits) in enumerate(zip(ids, levels, strict=True)):
                more = self._rows(n, bits + 1) - self._rows(n, bits)
                if bits < _length(n) and more <= left:
                    levels[index], left, raised = bits + 1, left - more, True
        return levels

    def _sized(self, table: TableSpec, bits: int) -> TableSizing:
        ids = table.closed_rows
        rows = self._rows(ids, bits)
        blocks = 1 if rows == ids else _blocks(ids, bits)
        settings = {"rows": rows, "blocks": blocks, "bits": min(bits, _length(ids))}
        told_apart = ids - 1 if table.ids == "rank" else 0
        return TableSizing(table=table, ids=table.ids, told_apart=told_apart, settings=settings)

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Rows]:
        return (Rows("rows", total_rows(tables), tables[0].table.dim),)

    # -- values ------------------------------------------------------------------------------------------------------

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        tables = group.sizing.tables
        for index, (rows, sized) in enumerate(zip(per_table(group.tensor("rows").data, tables), tables, strict=True)):
            # a sum of a row of each block has the variance of one
            half_width = bound(sized.table, self.init) / math.sqrt(int(sized.settings["blocks"]))
            uniform_(rows, half_width, seed=stream(seed, index))

    # -- looking up --------------------------------------------------------------------------------------------------

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        tables = sizing.tables
        parts = max(int(t.settings["blocks"]) for t in tables)
        return Access(
            regions=("rows",), addressing=[self._of(t, s) for t, s in zip(tables, starts(tables), strict=True)],
            width=tables[0].table.dim, parts=parts, combine=Combine.sum if parts > 1 else Combine.copy,
        )  # fmt: skip

    def _of(self, sized: TableSizing, start: int) -> Addressing:
        ids, blocks, bits = sized.table.closed_rows, int(sized.settings["blocks"]), int(sized.settings["bits"])
        if blocks == 1:
            return Row(start=start, rows=ids)
        if self.cut == "skip":
            return Digits(start=start, rows=ids, base=1, count=blocks, bits=_length(ids))
        return Digits(start=start, rows=ids, base=1 << bits, count=blocks)


def _length(ids: int) -> int:
    """Bits of the largest id, 1 at least."""
    return max(1, (ids - 1).bit_length())


def _blocks(ids: int, bits: int) -> int:
    """Blocks of at most so many bits that an id is cut into."""
    return -(-_length(ids) // bits)


METHOD = BinaryCode
