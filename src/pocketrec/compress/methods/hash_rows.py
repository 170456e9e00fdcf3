"""Fewer rows than ids: ids share rows by a hash, small tables stay exact.

Paper: Weinberger et al., Feature Hashing for Large Scale Multitask Learning, ICML 2009, arXiv:0902.2206.
Bytes: rows that the budget holds x stored row, + 8 for the seed. Rows are shared out by filling all tables up to one
    level; a table below the level is exact and needs a vocabulary, a hashed one needs none.
Use when: there is no vocabulary, or new ids never stop coming.
Did not help when: `exempt_small` is off: hashing tables of ten ids costs more than most methods gain. With counts at
    hand min_count beats it on the Criteo sample at 10x, 100x and 1000x (by .003, .009 and .006, docs/results.md),
    and on KuaiRand by .004 at 10x and .002 at 100x. On Frappe robe beats it by .079 at 10x and .127 at 20x.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from pocketrec.compress.access import Access
from pocketrec.compress.addressing._program import Addressing
from pocketrec.compress.addressing.hashed import Hashed
from pocketrec.compress.addressing.row import Row
from pocketrec.compress.holdings import Fixed, Rows
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.init import stream
from pocketrec.compress.parts.level import hashed_or_exact, rows_wanted
from pocketrec.compress.parts.row_tables import starts, total_rows, uniform_rows
from pocketrec.compress.parts.seed import SEED, read_seed, write_seed
from pocketrec.compress.share import proportional, waterfill
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.errors import OptionError
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group
    from pocketrec.compress.worth import TableWorth

__all__ = ["METHOD", "HashRows"]


@final
@dataclass(frozen=True, kw_only=True)
class HashRows(Method):
    """Hashed rows.

    Attributes:
        exempt_small: share rows out by level, so that small tables stay exact. Without it every table is hashed, in
            proportion to its size (the baseline of most papers).
    """

    name = "hash_rows"
    traits = Traits(ids=("rank", "plain", "hash63"), separable=True, from_dense=True)

    exempt_small: bool = True

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return SEED.nbytes + len(tables) * STORAGES.get(self.storage).row_bytes(tables[0].dim)

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        rows = (budget_bytes - SEED.nbytes) // STORAGES.get(self.storage).row_bytes(tables[0].dim)
        sizes = [rows_wanted(t) for t in tables]
        shares = waterfill(sizes, rows) if self.exempt_small else proportional(sizes, rows)
        return Decision(
            tables=tuple(
                hashed_or_exact(t, share, may_be_exact=self.exempt_small)
                for t, share in zip(tables, shares, strict=True)
            ),
            settings={},
        )

    def kept(self, groups: Sequence[GroupSizing], worth: TableWorth) -> float:
        held = groups[0].tables[0].settings
        return 1.0 if held["exact"] else worth.shared(int(held["rows"]))

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Rows, Fixed]:
        return Rows("rows", total_rows(tables), tables[0].table.dim), SEED.holding

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        write_seed(group, seed)
        uniform_rows(group, "rows", self.init, seed=seed)

    def from_dense(self, group: Group, weights: Mapping[str, Tensor]) -> None:
        import torch  # here, not above: sizing answers without it

        for sized in group.sizing.tables:
            if sized.ids in ("hash63", "head"):
                raise OptionError(
                    f"hash_rows reads table {sized.table.name!r} by hashes of tokens; "
                    "whose the rows of a dense table are cannot be told. Use plain ids."
                )
        rows = group.tensor("rows").data.zero_()
        shared = torch.zeros(rows.shape[0], 1)
        for index, sized in enumerate(group.sizing.tables):
            dense = weights[sized.table.name]
            ids, program = torch.arange(dense.shape[0])[:, None], group.program_of(index)
            address = torch.ops.pocketrec.addresses(ids, None, program, None, 1)[:, 0]
            rows.index_add_(0, address, dense)
            shared.index_add_(0, address, torch.ones(dense.shape[0], 1))
        rows /= shared.clamp(min=1)

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        seed = read_seed(tensors)
        addressing: list[Addressing] = []
        for index, (start, t) in enumerate(zip(starts(sizing.tables), sizing.tables, strict=True)):
            rows = int(t.settings["rows"])
            if t.settings["exact"]:
                addressing.append(Row(start=start, rows=rows))
            else:
                addressing.append(Hashed(start=start, buckets=rows, seed=stream(seed, index)))
        return Access(regions=("rows",), addressing=addressing, width=sizing.tables[0].table.dim)


METHOD = HashRows
