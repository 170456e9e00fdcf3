"""Large tables as random projections: an id is so many random signs, and its vector the sum of as many signed rows.

Paper: Johnson, Lindenstrauss, Extensions of Lipschitz mappings into a Hilbert space, Contemporary Mathematics 26, 1984;
    with signs Achlioptas, Database-friendly random projections, PODS 2001; for embeddings one of the families of
    Hajgato, arXiv:2306.13724, whose text we could not get: the form is ours.
Bytes: 4 x signs x dim for each table that this makes smaller, + rows x stored row of the others + 8 for the seed; signs
    is the largest number that fits. The rows that are added are float32; `storage` is for the exact rows.
Use when: as a measure of what hashing alone gives: every id has a vector of its own, as unlike those of others as
    sqrt(1 / signs) allows, and every step moves all of them.
Did not help when: measured: .010 to .023 of AUC behind full tables on the Criteo sample, .009 to .048 on Frappe, with
    look-ups of microseconds (docs/which_method.md). An id cannot move alone: what one learns, all others hear as noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

from pocketrec.compress.access import Access
from pocketrec.compress.addressing.nowhere import Nowhere
from pocketrec.compress.holdings import Holding, Matrix
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.exact_tables import EXACT, exact_access, exact_holding, groups_beside_exact, is_exact
from pocketrec.compress.parts.init import bound, stream, uniform_
from pocketrec.compress.parts.largest import largest_fitting
from pocketrec.compress.parts.row_tables import uniform_rows
from pocketrec.compress.parts.seed import SEED, read_seed, write_seed
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.computed import Asked
    from pocketrec.compress.group import Group

__all__ = ["METHOD", "RandomProjection"]

_SIGNED: Final = "signed"
_MOST_SIGNS: Final = 65_536
_FLOAT_BYTES: Final = 4


@final
@dataclass(frozen=True, kw_only=True)
class RandomProjection(Method):
    """Sums of signed rows.

    Attributes:
        signs: of an id, 1 to 65,536, and rows of each table; None takes the largest number that fits the budget.
    """

    name = "random_projection"
    traits = Traits(ids=("rank", "plain", "hash63"), rounds=True)

    signs: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("signs", self.signs is None or 1 <= self.signs <= _MOST_SIGNS, f"lie in 1..{_MOST_SIGNS}")

    # -- sizes -------------------------------------------------------------------------------------------------------

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return self._bytes(tables, self.signs or 1)

    def _bytes(self, tables: Sequence[TableSpec], signs: int) -> int:
        signed = [self._smaller(t, signs) for t in tables]
        exact = sum(self._exact_bytes(t) for t, smaller in zip(tables, signed, strict=True) if not smaller)
        return exact + sum(signed) * _FLOAT_BYTES * signs * tables[0].dim + SEED.nbytes * any(signed)

    def _exact_bytes(self, table: TableSpec) -> int:
        return table.closed_rows * STORAGES.get(self.storage).row_bytes(table.dim)

    def _smaller(self, table: TableSpec, signs: int) -> bool:
        """Whether signed rows are smaller than the table's own; hashes have no rows of their own."""
        return table.ids == "hash63" or _FLOAT_BYTES * signs * table.dim < self._exact_bytes(table)

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        signs = self.signs or self._most_signs(tables, budget_bytes)
        sized = tuple(
            TableSizing(
                table=t, ids=t.ids, told_apart=t.closed_rows - 1 if t.ids == "rank" else 0,
                settings={"rows": 1 if self._smaller(t, signs) else t.closed_rows},
            )
            for t in tables
        )  # fmt: skip
        return Decision(tables=sized, settings={"signs": signs})

    def _most_signs(self, tables: Sequence[TableSpec], budget_bytes: int) -> int:
        return largest_fitting(1, _MOST_SIGNS, lambda signs: self._bytes(tables, signs) <= budget_bytes)

    def groups(
        self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats], optimizer: OptimizerSpec
    ) -> tuple[tuple[GroupSizing, ...], tuple[str, ...]]:
        decision = self.decide(tables, budget_bytes, stats)
        compressed = [self._smaller(t, int(decision.settings["signs"])) for t in tables]
        return groups_beside_exact(self, decision, optimizer, part=_SIGNED, compressed=compressed), decision.notes

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Holding, ...]:
        if settings["part"] != _SIGNED:
            return (exact_holding(tables),)
        shape = (len(_signed(tables)), int(settings["signs"]), tables[0].table.dim)
        return Matrix(_SIGNED, shape), SEED.holding

    # -- values ------------------------------------------------------------------------------------------------------

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        if is_exact(group.sizing):
            uniform_rows(group, EXACT, self.init, seed=seed)
            return
        write_seed(group, seed)
        tables = group.sizing.tables
        for place, rows in zip(_signed(tables), group.tensor(_SIGNED).data, strict=True):
            uniform_(rows, bound(tables[place].table, self.init) / math.sqrt(len(rows)), seed=stream(seed, place))

    # -- looking up --------------------------------------------------------------------------------------------------

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        if is_exact(sizing):
            return exact_access(sizing)
        seed = read_seed(tensors)
        nowhere = [Nowhere(seed=stream(seed, place)) for place in range(len(sizing.tables))]
        return Access(regions=(), addressing=nowhere, width=0, computes=True)

    def computed(self, group: Group, rows: Tensor, asked: Asked) -> Tensor:
        from pocketrec.compress.computed import per_table  # here, not above: sizing answers without torch
        from pocketrec.native.hash_features import hash_features

        signed = dict(zip(_signed(group.sizing.tables), group.tensor(_SIGNED).unbind(0), strict=True))

        def vectors(place: int, ids: Tensor) -> Tensor:
            if place not in signed:  # exact, and never asked for here
                return ids.new_zeros((ids.shape[0], group.dim), dtype=rows.dtype)
            addressing = group.access.addressing[place]
            assert isinstance(addressing, Nowhere)
            return hash_features(ids, addressing.seed, len(signed[place]), "sign") @ signed[place]

        return per_table(group, asked, vectors)


def _signed(tables: Sequence[TableSizing]) -> list[int]:
    """The tables whose vectors are sums of signed rows."""
    return [place for place, t in enumerate(tables) if t.settings["rows"]]


METHOD = RandomProjection
