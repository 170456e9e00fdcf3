"""Give the ids that matter most rows of their own while training goes on, and ask another method for all others.

Paper: Zhang et al., CAFE: Towards Compact, Adaptive, and Fast Embedding for Large-scale Recommendation Models, SIGMOD
    2024, arXiv:2312.03256. A sketch finds the ids with the largest gradients in a fixed number of bytes. Policies
    "paper" and "pinned" are the published rule and about what the published program does; "top_k", the default, is
    ours, and so is all about the optimizer's state. `levels` of 2 is its CAFE-ML, whose sizes the papers leave open.
Bytes: hot rows x (stored row + 6 for its tag) + 12, up to `hot` of the budget, + what the cold method makes of the
    rest. Two levels: for 100 hot rows one more row, and 6 for the tag of each of about 100 ids. Training holds 12 x
    `slots` per hot row for the sketch and 4 for the free rows besides.
Use when: which ids matter is not known before training, or changes; ids never stop coming (no vocabulary is needed);
    the budget is a hundredth of the tables or less. On synthetic logs at 100x, one pass in the order of time, it is
    .016 ahead of hash_rows, as good as offline_split, which knows the counts, and .007 ahead of that where popularity
    drifts (docs/results.md, as all figures here). `hot` of .9 is .002 and .004 better there than the papers' .7.
Did not help when: one has counts and nothing drifts: offline_split with `hot` of .95 is .0017 ahead. On the Criteo
    sample it is behind min_count, by .002 to .004 at 10x to 1000x (three seeds, not paired). "pinned" is hard to set:
    with the default threshold of 500 it is behind hash_rows. With 30 and the published program's slow decay it is as
    good as "top_k" while nothing drifts and .04 behind where it does; with this method's decay .005 behind and level.
    So the lead under drift is that of the decay; what "top_k" adds is that it needs no threshold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from pocketrec.compress.parts.hot_rows import (
    PAPER,
    PINNED,
    TOP_K,
    Admission,
    give_back,
    promotions,
)
from pocketrec.compress.parts.sketch_split import SketchSplit, sketch_of
from pocketrec.spec.errors import OptionError

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group

__all__ = ["METHOD", "Cafe", "published_split"]

_POLICIES: Final[Mapping[str, Admission]] = {"paper": PAPER, "pinned": PINNED, "top_k": TOP_K}


@final
@dataclass(frozen=True, kw_only=True)
class Cafe(SketchSplit):
    """Rows for the ids with the highest scores, another method for all others.

    The score of an id is the sum of the norms of the gradients of its vectors, one for each time that it is looked up,
    each divided by the mean over its table and batch: an average occurrence counts 1 in every table, whatever the loss
    is multiplied by. A promoted id begins with the vector that it read before, rounded once where rows train in few
    bits and it was more than one such row; an id that loses its row reads the cold part again, which did not change.
    Both happen after the step of the optimizer (in the paper before it).

    Two levels: at each look the ids that come after the hot ones, about 100 for each row of the second table, become
    medium. What they read changes by the second table's row, which begins at zero; what they read of the cold part
    stays. An id that becomes hot takes the sum along.

    Attributes:
        policy: who gets a row. ``top_k``: those that surely had more than the hot row number last, a threshold that is
            found anew at each look. ``paper``: whose score reaches `threshold`, and a newcomer may take the slot of a
            hot id. ``pinned``: whose score reaches `threshold` when it is hit again; hot ids stay until a decay.
        threshold: of "paper" and "pinned", in average occurrences, 0 or more.
        hysteresis: share of its score that a newcomer of "top_k" must be ahead of a hot id, 0 or more.
        decay: what scores are multiplied by at each look, in (0, 1]. "top_k" looks at steps 1, 2, 4, 8 and so on
            besides, without a decay, until there was the first one.
    """

    name = "cafe"

    hot: float = 0.9  # not the papers' .7, of which their sketch takes three sevenths; see the head
    policy: str = "top_k"
    threshold: float = 500.0
    hysteresis: float = 0.1
    decay: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.policy not in _POLICIES:
            raise OptionError(f"cafe: no policy {self.policy!r}. Known: {', '.join(_POLICIES)}.")
        self.require("threshold", 0 <= self.threshold < math.inf, "be 0 or more")
        self.require("hysteresis", 0 <= self.hysteresis < math.inf, "be 0 or more")
        self.require("decay", 0 < self.decay <= 1, "lie in (0, 1]")

    @property
    def admission(self) -> Admission:
        return _POLICIES[self.policy]

    @property
    def first_threshold(self) -> float:
        return 0.0 if self.policy == "top_k" else self.threshold

    def after_step(self, group: Group, *, step: int, ids: Tensor, tables: Tensor, importance: Tensor) -> None:
        from pocketrec.native.sketch import sketch_insert

        sketch, free = sketch_of(group), group.tensor("free")
        told = self.told(group, ids, tables, importance)
        found = sketch_insert(sketch, told.keys, told.scores, evict_hot=self.admission.evict_hot)
        if self.admission.evict_hot:
            give_back(free, found.released[found.released >= 0])
        if self._looks(step):
            self._look(group, step)
        chosen = promotions(
            sketch, found, self.admission, threshold=float(group.tensor("threshold")), most=int(free[0]),
            hysteresis=self.hysteresis if self.policy == "top_k" else 0.0,
        )  # fmt: skip
        values = told.values[found.values[chosen]]
        self.promote(group, found.slots[chosen], ids[values], tables[values])

    def _looks(self, step: int) -> bool:
        early = self.policy == "top_k" and step < self.every and step & (step - 1) == 0
        return early or step % self.every == 0

    def _look(self, group: Group, step: int) -> None:
        """Go through the whole sketch: decay, threshold, demotion, who is medium."""
        from pocketrec.native.sketch import sketch_decay
        from pocketrec.native.sketch_rows import demote_below, score_number

        sketch, free, threshold = sketch_of(group), group.tensor("free"), group.tensor("threshold")
        if self.decay < 1 and step % self.every == 0:
            sketch_decay(sketch, self.decay)
        if self.policy == "top_k":
            # a newcomer, which needs the hysteresis more, is then one of those that there is a row for
            threshold.fill_(score_number(sketch, len(free) - 1, guaranteed=True) / (1 + self.hysteresis))
        give_back(free, demote_below(sketch, float(threshold)))
        self.look_for_medium(group)


def published_split(rows: Sequence[int], *, ratio: float, share: float, dim: int) -> tuple[int, list[int]]:
    """Hot rows and shared rows per field as the published program splits a budget of so many times fewer numbers.

    Its sketch takes 48 bytes per hot row (4 slots of 3 words), served or not; rows are float32. A field of at most
    2000 / `ratio` ids keeps a row for each and stays out of the sketch.

    Args:
        rows: ids per field.
        ratio: how many times fewer numbers than the dense tables.
        share: of the budget for hot rows and sketch, in 0..1.
        dim: numbers per row.

    >>> published_split([1000, 24], ratio=8, share=0.5, dim=16)
    (36, [63, 24])
    """
    import math

    row_bytes = 4 * dim
    hot = math.floor(sum(rows) / ratio * share * row_bytes / (row_bytes + 48))
    return hot, [n if n <= 2000 / ratio else math.ceil(n / ratio * (1 - share)) for n in rows]


METHOD = Cafe
