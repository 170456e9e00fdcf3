"""Large tables as codes that learn: an id keeps one codeword of a few per block of its vector, chosen by a row.

Paper: Chen, Li, Sun, Differentiable Product Quantization for End-to-End Embedding Compression, ICML 2020,
    arXiv:1908.09756; a codebook per block and table, as in the code of the VLDB 2024 benchmark (Zhang et al.,
    arXiv:2311.15578).
Bytes: for each table that this makes smaller, rows x blocks x bits / 8 (whole 4-byte words), + 2^bits x blocks x
    ceil(dim / blocks) weights in the storage; + rows x stored row of the others. Blocks become half as many, and codes
    a bit shorter each, until it fits; of what fits, the most bits per id. Training holds a float32 row per id, too.
Use when: rare ids matter, so that each must keep a vector that is its own choice, and training may take more memory
    than a full table does; serving reads codewords out of a small codebook. It needs no counts. On the Criteo sample it
    is .002 of AUC behind full tables from 2x to 100x, on KuaiRand .0008 and .0003 at 2x and at 10x, where it is the
    best of all.
Did not help when: frequent ids are many: on Frappe .017 at 2x and .025 at 10x, where mgqe, with finer vectors for them,
    loses nothing and .004 (docs/which_method.md). The published code normalises distances over the batch before it
    chooses. Here nothing is: with that an id's code would depend on who stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, final

from pocketrec.compress.access import Access
from pocketrec.compress.holdings import Holding
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.codebooks import Coding, bits_of, chosen_words, codings, past_the_choice
from pocketrec.compress.parts.coded_tables import (
    CODED,
    QUERIES,
    blocks_of_rows,
    coded,
    coded_access,
    coded_bytes,
    coded_holdings,
    codes_of,
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

__all__ = ["DPQ", "METHOD"]

_MOST_CODEWORDS: Final = 65_536


@final
@dataclass(frozen=True, kw_only=True)
class DPQ(Method):
    """Differentiable product quantisation.

    Attributes:
        parts: blocks of a vector, at most; 1 or more.
        codewords: of a codebook, at most: a power of two, 2 to 65,536.
        quantiser: ``vq``: a row chooses the nearest codewords, its gradient is that of the vector, and codewords are
            pulled to the rows that choose them. ``sx``: a row chooses by its inner products with keys, and the values
            beside these are the vector; gradients go through the softmax of the products.
        pull: weight of the loss that is the mean squared distance of chosen codewords from the rows, 0 or more; vq
            only.
    """

    name = "dpq"
    traits = Traits(ids=("rank", "plain"))

    parts: int = 4
    codewords: int = 256
    quantiser: Literal["vq", "sx"] = "vq"
    pull: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("parts", self.parts >= 1, "be 1 or more")
        fits = 2 <= self.codewords <= _MOST_CODEWORDS and self.codewords & (self.codewords - 1) == 0
        self.require("codewords", fits, f"be a power of two in 2..{_MOST_CODEWORDS}")
        self.require("quantiser", self.quantiser in ("vq", "sx"), "be vq or sx")
        self.require("pull", self.pull >= 0, "be 0 or more")

    # -- sizes -------------------------------------------------------------------------------------------------------

    def _codings(self, dim: int) -> list[Coding]:
        bits = bits_of(self.codewords)
        return codings(dim, self.parts, bits, bits)

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return min(coded_bytes(self.storage, tables, c, _all) for c in self._codings(tables[0].dim))

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        return decided(self.storage, tables, budget_bytes, self._codings(tables[0].dim), _all)

    def groups(
        self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats], optimizer: OptimizerSpec
    ) -> tuple[tuple[GroupSizing, ...], tuple[str, ...]]:
        decision = self.decide(tables, budget_bytes, stats)
        smaller = [is_smaller(self.storage, t, coding_of(decision.settings), _all) for t in tables]
        return groups_beside_exact(self, decision, optimizer, part=CODED, compressed=smaller), decision.notes

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Holding, ...]:
        if settings["part"] != CODED:
            return (exact_holding(tables),)
        return coded_holdings(tables, settings, self._matrices())

    def _matrices(self) -> tuple[str, ...]:
        """Names of the codebooks; the last ones serve."""
        return ("centroids",) if self.quantiser == "vq" else ("keys", "values")

    # -- values ------------------------------------------------------------------------------------------------------

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        if is_exact(group.sizing):
            uniform_rows(group, EXACT, self.init, seed=seed)
            return
        # with keys rows are no vectors: products of numbers around one choose, and what is chosen begins as vectors do
        uniform_rows(group, QUERIES, self.init if self.quantiser == "vq" else 1.0, seed=seed)
        *keys, served = (group.tensor(name).data for name in self._matrices())
        for number, place in enumerate(coded(group.sizing.tables)):
            half_width = bound(group.sizing.tables[place].table, self.init)
            fill_codebook(served[number], half_width, group.dim, seed=stream(seed, number, 0))
            for matrix in keys:
                fill_codebook(matrix[number], 1.0, group.dim, seed=stream(seed, number, 1))

    # -- looking up --------------------------------------------------------------------------------------------------

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        return exact_access(sizing) if is_exact(sizing) else coded_access(sizing, tensors)

    def computed(self, group: Group, rows: Tensor, asked: Asked) -> Tensor:
        choose = self._chooser(group)
        if self.quantiser == "vq":
            return nearest_vectors(group, rows, asked, group.tensor("centroids"), self.pull, choose)
        keys, values = group.tensor("keys"), group.tensor("values")
        vectors = chosen_words(values, *codes_of(group, asked, rows, choose))[:, : group.dim]
        return past_the_choice(vectors, self._softly(group, rows, asked, keys, values))

    def _softly(self, group: Group, rows: Tensor, asked: Asked, keys: Tensor, values: Tensor) -> Tensor:
        """Values by the softmax of products, float32 [n, dim], through which rows and keys learn."""
        import torch  # here, not above: sizing answers without it

        from pocketrec.compress.computed import per_table

        number = {place: n for n, place in enumerate(coded(group.sizing.tables))}
        queries = blocks_of_rows(rows, coding_of(group.sizing.settings))

        def softly(place: int, own: Tensor) -> Tensor:
            if place not in number:
                return own.new_zeros(own.shape[0], group.dim)
            products = torch.einsum("nbz,bkz->nbk", own, keys[number[place]])
            mixed = torch.einsum("nbk,bkz->nbz", products.softmax(dim=2), values[number[place]].detach())
            return mixed.flatten(1)[:, : group.dim]

        return per_table(group, asked, softly, of=queries)

    def _chooser(self, group: Group) -> Choose:
        from pocketrec.native.best_codes import best_codes  # here, not above: sizing answers without torch

        matrix = group.tensor(self._matrices()[0]).detach()
        number = {place: n for n, place in enumerate(coded(group.sizing.tables))}
        by: Literal["distance", "product"] = "distance" if self.quantiser == "vq" else "product"
        return lambda place, ids, queries: best_codes(queries, matrix[number[place]], by)

    def frozen(self, group: Group) -> tuple[GroupSizing, dict[str, Tensor]]:
        if is_exact(group.sizing):
            return super().frozen(group)
        return frozen_codes(group, group.tensor(self._matrices()[-1]), self._chooser(group))


def _all(rows: int) -> int:
    """All codes are equally long."""
    return rows


METHOD = DPQ
