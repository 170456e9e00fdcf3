"""Large tables as codes that learn, of which those of rare ids are shorter: they choose among fewer codewords.

Paper: Kang, Cheng, Chen, Yi, Lin, Hong, Chi, Learning Multi-granular Quantized Embeddings for Large-Vocab Categorical
    Features in Recommender Systems, WWW 2020 companion, arXiv:2002.08530; it learns as dpq does (arXiv:1908.09756), and
    the numbers of codewords are those of the VLDB 2024 benchmark (Zhang et al., arXiv:2311.15578).
Bytes: for each table that this makes smaller, blocks x (frequent rows x bits + other rows x fewer bits) / 8 (whole
    4-byte words), + 2^bits x blocks x ceil(dim / blocks) weights in the storage; + rows x stored row of the others. Ids
    fall in frequency, so no flag says which they are; the benchmark counts 4 bytes per id for it. Blocks become half as
    many, and codes a bit shorter each, until it fits. Training holds a float32 row per id, too.
Use when: as dpq, with a vocabulary in the order of frequency and frequent ids that deserve finer vectors. The best of
    all methods at 20x of Frappe (.008 of AUC behind full tables) and level with full tables at 10x of the Criteo
    sample, in half the bytes; .0006 behind them at 10x of KuaiRand (docs/which_method.md).
Did not help when: training must be quick or small: a step takes six times as long as that of rows, over tables that are
    larger than full ones. .004 behind full tables at 100x of the Criteo sample, where min_count in int4 loses .001. As
    with dpq nothing is normalised over the batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

from pocketrec.compress.access import Access
from pocketrec.compress.holdings import Holding
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.codebooks import Coding, bits_of, codings
from pocketrec.compress.parts.coded_tables import (
    CODED,
    QUERIES,
    coded,
    coded_access,
    coded_bytes,
    coded_holdings,
    coding_of,
    decided,
    fill_codebook,
    frozen_codes,
    is_smaller,
    nearest_vectors,
)
from pocketrec.compress.parts.exact_tables import EXACT, exact_access, exact_holding, groups_beside_exact, is_exact
from pocketrec.compress.parts.init import bound, stream
from pocketrec.compress.parts.row_tables import uniform_rows
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.computed import Asked
    from pocketrec.compress.group import Group
    from pocketrec.compress.parts.coded_tables import Choose

__all__ = ["METHOD", "MGQE"]

_CENTROIDS: Final = "centroids"
_MOST_CODEWORDS: Final = 65_536


@final
@dataclass(frozen=True, kw_only=True)
class MGQE(Method):
    """Multi-granular quantised embeddings: a row chooses the nearest codewords, rare ids among the first ones only.

    Attributes:
        parts: blocks of a vector, at most; 1 or more.
        codewords: of a codebook, at most: a power of two, 2 to 65,536.
        rare_codewords: of those, how many rare ids may use: a power of two, 2 to `codewords`.
        frequent: share of a table's rows that may use all, the most frequent ones and id 0; 0 to 1.
        pull: weight of the loss that is the mean squared distance of chosen codewords from the rows, 0 or more.
    """

    name = "mgqe"
    traits = Traits(ids=("rank",))

    parts: int = 4
    codewords: int = 256
    rare_codewords: int = 64
    frequent: float = 0.1
    pull: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("parts", self.parts >= 1, "be 1 or more")
        fits = 2 <= self.codewords <= _MOST_CODEWORDS and self.codewords & (self.codewords - 1) == 0
        self.require("codewords", fits, f"be a power of two in 2..{_MOST_CODEWORDS}")
        few = self.rare_codewords
        self.require("rare_codewords", 2 <= few <= self.codewords and few & (few - 1) == 0,
                     f"be a power of two in 2..{self.codewords}")  # fmt: skip
        self.require("frequent", 0 <= self.frequent <= 1, "lie in 0..1")
        self.require("pull", self.pull >= 0, "be 0 or more")

    # -- sizes -------------------------------------------------------------------------------------------------------

    def _codings(self, dim: int) -> list[Coding]:
        return codings(dim, self.parts, bits_of(self.codewords), bits_of(self.rare_codewords))

    def _frequent(self, rows: int) -> int:
        """How many of a table's rows have long codes."""
        return math.ceil(self.frequent * rows)

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return min(coded_bytes(self.storage, tables, c, self._frequent) for c in self._codings(tables[0].dim))

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        return decided(self.storage, tables, budget_bytes, self._codings(tables[0].dim), self._frequent)

    def groups(
        self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats], optimizer: OptimizerSpec
    ) -> tuple[tuple[GroupSizing, ...], tuple[str, ...]]:
        decision = self.decide(tables, budget_bytes, stats)
        smaller = [is_smaller(self.storage, t, coding_of(decision.settings), self._frequent) for t in tables]
        return groups_beside_exact(self, decision, optimizer, part=CODED, compressed=smaller), decision.notes

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Holding, ...]:
        if settings["part"] != CODED:
            return (exact_holding(tables),)
        return coded_holdings(tables, settings, (_CENTROIDS,))

    # -- values ------------------------------------------------------------------------------------------------------

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        if is_exact(group.sizing):
            uniform_rows(group, EXACT, self.init, seed=seed)
            return
        uniform_rows(group, QUERIES, self.init, seed=seed)
        centroids = group.tensor(_CENTROIDS).data
        for number, place in enumerate(coded(group.sizing.tables)):
            half_width = bound(group.sizing.tables[place].table, self.init)
            fill_codebook(centroids[number], half_width, group.dim, seed=stream(seed, number, 0))

    # -- looking up --------------------------------------------------------------------------------------------------

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        return exact_access(sizing) if is_exact(sizing) else coded_access(sizing, tensors)

    def computed(self, group: Group, rows: Tensor, asked: Asked) -> Tensor:
        return nearest_vectors(group, rows, asked, group.tensor(_CENTROIDS), self.pull, self._chooser(group))

    def _chooser(self, group: Group) -> Choose:
        import torch  # here, not above: sizing answers without it

        from pocketrec.native.best_codes import best_codes

        tables, centroids = group.sizing.tables, group.tensor(_CENTROIDS).detach()
        number, coding = {place: n for n, place in enumerate(coded(tables))}, coding_of(group.sizing.settings)

        def choose(place: int, ids: Tensor, queries: Tensor) -> Tensor:
            frequent = ids < int(tables[place].settings["frequent"])
            limits = torch.where(frequent, coding.codewords, 1 << coding.few_bits)
            return best_codes(queries, centroids[number[place]], "distance", limits)

        return choose

    def frozen(self, group: Group) -> tuple[GroupSizing, dict[str, Tensor]]:
        if is_exact(group.sizing):
            return super().frozen(group)
        return frozen_codes(group, group.tensor(_CENTROIDS), self._chooser(group))


METHOD = MGQE
