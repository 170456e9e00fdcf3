"""Large tables as tensor rings: trains of two to four cores closed by a trace, so that end cores are as wide as others.

Paper: Zhao, Zhou, Xie, Zhang, Cichocki, Tensor Ring Decomposition, 2016, arXiv:1606.05535; as weights that are learned:
    Wang, Sun, Eriksson, Wang, Aggarwal, Wide Compression: Tensor Ring Nets, CVPR 2018, arXiv:1802.09052. For embeddings
    named by the review of compressed embedding layers (Hajgato, 2023, arXiv:2306.13724), whose full text we have not
    read. Factors of rows and dim, and starting values, are those of tt_rec.
Bytes: stored row of `rank` numbers x (outer p1 q1 + rank p2 q2 + outer p3 q3), summed over the tables that this makes
    smaller, + rows x stored row of the others; p1 p2 p3 are at least a table's rows, q1 q2 q3 its dim; `outer`, the
    rank that closes the ring, is the others' unless it is set; rank is the largest that fits, and what it leaves makes
    tables exact, those first that this costs least (`fill`).
Use when: a tensor train is wanted whose first and last cores, which stand for the coarsest and the finest digit of an
    id, hold as many numbers per slice as those between. At equal bytes its rank is smaller, and yet it is better than
    tt_rec at 2x and 10x of the Criteo sample (level with full tables, and .002 of AUC behind them) and at all budgets
    of Frappe.
Did not help when: the budget is small: .015 behind full tables at 100x of the Criteo sample, where tt_rec is .011
    (docs/which_method.md), and .017 at 2x and 10x of KuaiRand. It cannot start from a dense table: the SVD that makes a
    ring splits one rank into two in an arbitrary order, and so does not find a ring again even where the table is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, final, get_args

from pocketrec.compress.method import Traits
from pocketrec.compress.parts.core_tables import CoreTables
from pocketrec.compress.parts.tensor_train import StartValues

__all__ = ["METHOD", "TensorRing"]

RingValues = Literal["tail_normal", "normal"]

_MOST_OUTER: Final = 4096


@final
@dataclass(frozen=True, kw_only=True)
class TensorRing(CoreTables):
    """Tensor rings.

    Attributes:
        outer: the rank between the last core and the first one, 1 to 4096; None takes that of all others, as the papers
            do. With 1 it is a tensor train, and the method is tt_rec.
        start: from which distribution cores are drawn. ``tail_normal``: a normal one without the numbers within two
            standard deviations of zero, so that products do not pile up there; ``normal``: all numbers. Both are scaled
            so that a vector's numbers have the variance that `init` says at every rank.
    """

    name = "tensor_ring"
    traits = Traits(ids=("rank", "plain"))

    outer: int | None = None
    start: RingValues = "tail_normal"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("outer", self.outer is None or 1 <= self.outer <= _MOST_OUTER, f"lie in 1..{_MOST_OUTER}")
        self.require("start", self.start in get_args(RingValues), f"be one of {', '.join(get_args(RingValues))}")

    def outer_rank(self, rank: int) -> int:
        return self.outer or rank

    @property
    def start_values(self) -> StartValues:
        return self.start


METHOD = TensorRing
