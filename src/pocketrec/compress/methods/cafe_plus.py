"""Give the ids that matter most rows of their own; a sifter keeps rare ids from the sketch, its threshold sets itself.

Paper: CAFE+, the journal form (ACM TOIS, 2025) of Zhang et al., CAFE: Towards Compact, Adaptive, and Fast Embedding for
    Large-scale Recommendation Models, SIGMOD 2024, arXiv:2312.03256. ColdSifter, adaptive threshold and implicit
    attenuation are as that paper specifies them; its published program does not multiply what it inserts, so that its
    scores never attenuate before a normalisation. Ours: ids at or above the threshold are counted from time to time.
Bytes: those of cafe, served and while training, and 8 x `sifter` x `slots` per hot row besides while training.
Use when: as cafe, where no threshold is known and most ids come once or twice.
Did not help when: cafe's default, "top_k", is there, which finds its threshold by itself too: on synthetic logs at 100x
    cafe_plus is .004 behind it, and .017 where popularity drifts (docs/results.md), though ahead of hash_rows in both.
    By the papers' own numbers it gains at most .0012 of AUC over CAFE (CriteoTB), and less over hashing than CAFE does
    on Criteo.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from pocketrec.compress.holdings import Scratch
from pocketrec.compress.parts.hot_rows import (
    PAPER,
    Admission,
    ImplicitDecay,
    give_back,
    promotions,
)
from pocketrec.compress.parts.sketch_split import SketchSplit, sketch_of

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group

__all__ = ["METHOD", "CafePlus"]


@final
@dataclass(frozen=True, kw_only=True)
class CafePlus(SketchSplit):
    """CAFE with a sifter before the sketch, a threshold that follows, and scores that attenuate without being touched.

    Scores are those of ``cafe``. At each step, after that of the optimizer, an id's score goes to the sifter, where the
    ids that were seen last wait until they have `passes`; then it goes to the sketch. An id of the sketch that reaches
    the threshold owns a row if one is free, and a newcomer may take the slot of a hot id, as CAFE's paper has it. When
    more than `crowd` times as many ids have reached the threshold as there are rows, it becomes the score of the id
    number rows from above, and who has less loses its row; who has more and owns none gets one when it is hit again,
    for a sketch does not know the ids of its keys.

    What waits in the sifter does not attenuate: it is dropped long before that would count.

    Attributes:
        threshold: the first one, in average occurrences, 0 or more.
        crowd: how many times the rows may reach the threshold, 1 or more. They are counted at each look.
        decay: what all scores are multiplied by at each step, in (0, 1].
        passes: the score from which on an id goes from the sifter to the sketch, in average occurrences, 0 or more.
        sifter: ids that the sifter holds for each that the sketch does, above 0.
    """

    name = "cafe_plus"

    threshold: float = 1.0
    crowd: float = 1.2
    decay: float = 1 - 5e-7
    passes: float = 5.0
    sifter: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("threshold", 0 <= self.threshold < math.inf, "be 0 or more")
        self.require("passes", 0 <= self.passes < math.inf, "be 0 or more")
        self.require("crowd", 1 <= self.crowd < math.inf, "be 1 or more")
        self.require("sifter", 0 < self.sifter < math.inf, "be above 0")
        self.require("decay", 0 < self.decay <= 1, "lie in (0, 1]")

    @property
    def admission(self) -> Admission:
        return PAPER

    @property
    def first_threshold(self) -> float:
        return self.threshold

    def also_held(self, rows: int) -> tuple[Scratch, ...]:
        sets = max(1, round(self.sifter * self.sketch_slots(rows) / self.slots))
        return (Scratch("sifter", (sets * self.slots * 2,), "int32"),)

    def after_step(self, group: Group, *, step: int, ids: Tensor, tables: Tensor, importance: Tensor) -> None:
        from pocketrec.native.sifter import sift
        from pocketrec.native.sketch import sketch_insert

        sketch, free, threshold = sketch_of(group), group.tensor("free"), group.tensor("threshold")
        decay = ImplicitDecay(self.decay)
        threshold *= decay.renormalise(sketch, step)
        told = self.told(group, ids, tables, importance)
        sifter = group.tensor("sifter").view(-1, self.slots, 2)
        passed = sift(sifter, told.keys, told.scores, least=self.passes)
        amounts = passed.scores * decay.factor(step)
        found = sketch_insert(sketch, told.keys[passed.values], amounts, evict_hot=PAPER.evict_hot)
        give_back(free, found.released[found.released >= 0])
        if step % self.every == 0:
            self._look(group)
        chosen = promotions(sketch, found, PAPER, threshold=float(threshold), most=int(free[0]))
        values = told.values[passed.values[found.values[chosen]]]
        self.promote(group, found.slots[chosen], ids[values], tables[values])

    def _look(self, group: Group) -> None:
        """Count who reaches the threshold; where that are too many, set it anew. Then see who is medium."""
        from pocketrec.native.sketch import sketch_scores
        from pocketrec.native.sketch_rows import demote_below, score_number

        sketch, free, threshold = sketch_of(group), group.tensor("free"), group.tensor("threshold")
        rows, scores = len(free) - 1, sketch_scores(sketch)
        if int(((scores > 0) & (scores >= threshold)).sum()) > self.crowd * rows:
            threshold.fill_(score_number(sketch, rows, guaranteed=PAPER.guaranteed))
            give_back(free, demote_below(sketch, float(threshold)))
        self.look_for_medium(group)


METHOD = CafePlus
