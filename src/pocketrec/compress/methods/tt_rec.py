"""Large tables as tensor trains: an id's vector is the product of a small slice of each of two to four cores.

Paper: Yin, Acun, Wu, Liu, TT-Rec: Tensor Train Compression for Deep Learning Recommendation Models, MLSys 2021,
    arXiv:2101.11714; factors of the rows, and one rank for all tables, as in the VLDB 2024 benchmark (Zhang et al.,
    arXiv:2311.15578). Products that ids begin with alike are found once (EL-Rec, SC 2022). Starting values are ours.
Bytes: stored row of `rank` numbers x (p1 q1 + rank p2 q2 + p3 q3), summed over the tables that this makes smaller, +
    rows x stored row of the others; p1 p2 p3 are at least a table's rows, q1 q2 q3 its dim; rank is the largest that
    fits, and what it leaves makes tables exact, those first that this costs least (`fill`).
Use when: tables of millions of rows must be trained in the budget's bytes too, and every id shall keep a vector that no
    other has. Ids in order of frequency (ranks) make it faster: frequent ones begin alike. For frequent ids beside it
    that learn by themselves: offline_split with cold=tt_rec, whose rows nobody starts anew.
Did not help when: rare ids may be folded: on the Criteo sample it is .0054, .0019 and .0035 behind min_count at 10x,
    100x and 1000x, and against hash_rows .0026 behind at 10x, .0043 ahead at 100x (docs/results.md, "Tensor trains").
    (Measured with fill=false.) With one rank for all tables up to a third of a small budget may stay unused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from pocketrec.compress.method import Traits
from pocketrec.compress.parts.core_tables import CoreTables, trained_tables
from pocketrec.compress.parts.exact_tables import EXACT, is_exact
from pocketrec.compress.parts.row_tables import per_table
from pocketrec.compress.parts.tensor_train import START_VALUES, StartValues, decompose, dim_factors

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group

__all__ = ["METHOD", "TTRec"]


@final
@dataclass(frozen=True, kw_only=True)
class TTRec(CoreTables):
    """Tensor trains.

    Attributes:
        start: from which distribution cores are drawn. ``tail_normal``: the paper's, a normal one without the numbers
            within two standard deviations of zero, so that products do not pile up there, scaled so that a vector's
            numbers have the variance that `init` says at every rank; ``normal``: all numbers, scaled so; ``published``:
            the tail, scaled as FBTT-Embedding scales it, whatever the rank (numbers of a vector are then wider by
            about 13.8 x rank at three cores).
    """

    name = "tt_rec"
    traits = Traits(ids=("rank", "plain"), from_dense=True)

    start: StartValues = "tail_normal"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("start", self.start in START_VALUES, f"be one of {', '.join(START_VALUES)}")

    def outer_rank(self, rank: int) -> int:
        return 1

    @property
    def start_values(self) -> StartValues:
        return self.start

    def from_dense(self, group: Group, weights: Mapping[str, Tensor]) -> None:
        """By TT-SVD (Oseledets, Tensor-Train Decomposition, SIAM J. Sci. Comput. 2011)."""
        if is_exact(group.sizing):
            tables = group.sizing.tables
            for rows, sized in zip(per_table(group.tensor(EXACT).data, tables), tables, strict=True):
                rows.copy_(weights[sized.table.name][: len(rows)])
            return
        for sized, rows in trained_tables(group):
            factors = dim_factors(sized.table.dim, self.cores)
            decompose(weights[sized.table.name], sized.settings["factors"], factors, into=rows)


METHOD = TTRec
