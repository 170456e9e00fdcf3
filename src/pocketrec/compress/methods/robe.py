"""Let every block of every vector begin somewhere in one small array that all tables share.

Paper: Desai et al., Random Offset Block Embedding Array (ROBE), MLSys 2022, arXiv:2108.02191. A mixing hash takes the
    place of the published linear one, whose collisions are almost perfectly correlated across blocks (option
    `hash="linear"`, for comparison only).
Bytes: the budget, to within one weight (4 in float32), + 8 for the seed.
Use when: the budget is 1000 times below the tables: there it led on the Criteo sample (.7469 against .7436 of
    min_count, docs/results.md), without any vocabulary; on KuaiRand at 100x (.6962 against .6857), on Frappe at
    10x (.950; quotient_remainder .949, narrow .941, hash_rows .871, min_count .843). Or where rare ids
    matter one by one, and narrow does not fit. Block length 1 is HashedNet.
Did not help when: bytes are plenty: min_count is ahead at 10x (.7604 against .7581) and at 100x (.7563 against .7551).
    Longer blocks are faster to read and a little worse (about .002 AUC for 16 against 1 in a synthetic test of others).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

from pocketrec.compress.access import Access, Combine
from pocketrec.compress.addressing._program import Addressing
from pocketrec.compress.addressing.block import Block
from pocketrec.compress.addressing.linear_block import PRIME, LinearBlock
from pocketrec.compress.holdings import Array, Fixed
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.init import stream
from pocketrec.compress.parts.seed import SEED, read_seed, write_seed
from pocketrec.compress.parts.shared_array import array_bytes, uniform_array, weights_within
from pocketrec.spec.errors import OptionError
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group

__all__ = ["METHOD", "Robe"]


@final
@dataclass(frozen=True, kw_only=True)
class Robe(Method):
    """A shared array of weights, addressed in blocks.

    Attributes:
        block: weights per block (the paper's Z), 1 or more; at most the tables' dim is used.
        sign: read every weight with a random sign.
        aligned: blocks begin at multiples of `block` only (fewer cache lines).
        wrap: blocks may run over the array's end.
        hash: ``mix``, or ``linear`` for the published hash (no sign, no wrap). It is bit by bit the published one on
            plain ids, told apart by the rows of the tables before; other ids come as hashes, taken modulo its prime.
    """

    name = "robe"
    traits = Traits(ids=("rank", "plain", "hash63"))

    block: int = 4
    sign: bool = True
    aligned: bool = False
    wrap: bool = True
    hash: Literal["mix", "linear"] = "mix"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.block < 1:
            raise OptionError(f"robe: block must be 1 or more, got {self.block}.")
        if self.hash not in ("mix", "linear"):
            raise OptionError(f"robe: hash is mix or linear, not {self.hash!r}.")

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return SEED.nbytes + array_bytes(self.storage, self._block(tables[0].dim))

    def _block(self, dim: int) -> int:
        return min(self.block, dim)

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        weights = weights_within(self.storage, budget_bytes - SEED.nbytes, tables)
        # hashes need no vocabulary; so does the published one, which takes its number modulo P
        sized = tuple(TableSizing(table=t, ids="plain" if t.ids == "plain" else "hash63", told_apart=0) for t in tables)
        return Decision(tables=sized, settings={"weights": weights, "block": self._block(tables[0].dim)})

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Array, Fixed]:
        return Array("array", int(settings["weights"])), SEED.holding

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        write_seed(group, seed)
        uniform_array(group, "array", self.init, seed=seed)

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        seed, dim = read_seed(tensors), sizing.tables[0].table.dim
        block = int(sizing.settings["block"])
        return Access(
            regions=("array",), addressing=self._addressing(sizing, seed, block), width=dim, parts=-(-dim // block),
            combine=Combine.concat,
        )  # fmt: skip

    def _addressing(self, sizing: GroupSizing, seed: int, block: int) -> list[Addressing]:
        weights = int(sizing.settings["weights"])
        if self.hash == "mix":
            return [
                Block(
                    weights=weights, block=block, seed=stream(seed, i), sign=self.sign, aligned=self.aligned,
                    wrap=self.wrap,
                )
                for i in range(len(sizing.tables))
            ]  # fmt: skip
        r1, r2, r3 = (stream(seed, 0, k) % PRIME for k in range(3))
        offset, found = 0, []
        for t in sizing.tables:
            found.append(LinearBlock(weights=weights, block=block, coefficients=(r1, r2, r3), offset=offset))
            offset += t.table.rows or 0
        return list(found)


METHOD = Robe
