"""Who of the keys of a sketch owns a row: promotion, free rows, decay.

A method with hot rows does at each step: insert into the sketch, give back the rows that were `released`, choose whom
to promote (`promotions`), take rows for them, copy the vectors, `promote`. From time to time it finds the threshold
anew, demotes who has less (`pocketrec.native.sketch_rows`) and gives the rows back. Thresholds and scores are in the
unit of the stored scores, see `ImplicitDecay`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pocketrec.spec.errors import OptionError

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.native.sketch import Inserted

__all__ = [
    "PAPER",
    "PINNED",
    "TOP_K",
    "Admission",
    "ImplicitDecay",
    "all_free",
    "give_back",
    "medium_slots",
    "promote",
    "promotions",
    "take",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """How a key comes to own a row.

    Attributes:
        evict_hot: whether a newcomer may take the slot of a key with a row (the argument of `sketch_insert`).
        on_hit: whether only keys that stood in the sketch before are promoted.
        guaranteed: whether scores are judged less their errors. The score of a promoted key is then what it surely had.
    """

    evict_hot: bool
    on_hit: bool
    guaranteed: bool


PAPER: Final = Admission(evict_hot=True, on_hit=False, guaranteed=False)
"""CAFE as its paper has it (section 3.3): who has the score gets a row, and the least of a bucket makes room, row or
not. Ids that just took another one's slot, and its score, are promoted too: most rows move all the time."""

PINNED: Final = Admission(evict_hot=False, on_hit=True, guaranteed=False)
"""About what CAFE's published program does: rows are kept until a decay, and a hit promotes."""

TOP_K: Final = Admission(evict_hot=False, on_hit=False, guaranteed=True)
"""Ours: who surely had more than the weakest that there is a row for; the threshold follows."""


def promotions(
    sketch: Tensor, found: Inserted, admission: Admission, *, threshold: float, most: int, hysteresis: float = 0.0
) -> Tensor:
    """Which keys of an insertion are to own a row now.

    Args:
        sketch: int32 [buckets, slots, 3].
        found: what the insertion returned.
        admission: the rule.
        threshold: least score of a key with a row.
        most: how many rows are free. The first keys of the call come first.
        hysteresis: a newcomer needs this share more than the threshold, 0 or more, so that two keys of about the
            same score do not take turns.

    Returns:
        int64 [promoted], places among the distinct keys of the insertion, rising, one for each slot: ``found.slots`` of
        them are what `promote` takes.
    """
    from pocketrec.native.sketch_rows import due

    if not most:
        return found.slots[:0]
    return due(
        sketch, found.slots, found.hits if admission.on_hit else None, least=threshold * (1 + hysteresis), most=most,
        guaranteed=admission.guaranteed,
    )  # fmt: skip


def medium_slots(sketch: Tensor, rows: int, most: int, *, guaranteed: bool) -> Tensor:
    """Slots int64 of the keys that come after those with rows: at most so many, none without a score.

    That is those without a row whose score reaches that of the sketch's key number rows + most from above, or of any
    where there are fewer keys (CAFE+'s threshold M). Reads the whole sketch.

    Args:
        sketch: int32 [buckets, slots, 3].
        rows: that keys may own, 1 or more.
        most: keys that may be medium, 1 or more.
        guaranteed: whether scores are judged less their errors.
    """
    from pocketrec.native.sketch import is_hot
    from pocketrec.native.sketch_rows import score_number

    scores = _scores(sketch, guaranteed).reshape(-1)
    least = score_number(sketch, rows + most, guaranteed=guaranteed)
    slots = (~is_hot(sketch).view(-1) & (scores > 0) & (scores >= least)).nonzero().squeeze(1)
    # more where hot ids wait for their rows
    return slots if len(slots) <= most else slots[scores[slots].topk(most).indices]


def promote(sketch: Tensor, slots: Tensor, rows: Tensor, admission: Admission) -> None:
    """Let the keys of some slots, which own none, own rows; in place. What is known of their errors is lost.

    Args:
        sketch: int32 [buckets, slots, 3].
        slots: int64 [keys], counted over all buckets, distinct.
        rows: int32 [keys], from 0, distinct and owned by nobody.
        admission: the rule, which says whether a key keeps its score or that less its error.
    """
    import torch

    words = sketch.view(-1, 3)
    chosen = words[slots]
    words[slots, 1] = _scores(chosen, admission.guaranteed).view(torch.int32)
    words[slots, 2] = rows


def _scores(words: Tensor, guaranteed: bool) -> Tensor:
    """float32 [...] of words int32 [..., 3]."""
    from pocketrec.native.sketch import guaranteed_scores, sketch_scores

    return guaranteed_scores(words) if guaranteed else sketch_scores(words)


# Free rows: int32 [rows + 1], how many there are and then a stack of them, so that a step costs what it takes.


def all_free(free: Tensor) -> None:
    """Fill a tensor int32 [rows + 1] of free rows: all are, and row 0 is taken first."""
    import torch

    rows = free.shape[0] - 1
    free[0] = rows
    free[1:] = torch.arange(rows - 1, -1, -1, dtype=torch.int32)


def take(free: Tensor, count: int) -> Tensor:
    """Take rows off the free ones: int32 [count]; there must be as many."""
    left = int(free[0]) - count
    assert left >= 0, f"{count} rows are asked for, {left + count} are free"
    rows = free[1 + left : 1 + left + count].flip(0)
    free[0] = left
    return rows


def give_back(free: Tensor, rows: Tensor) -> None:
    """Add rows int32 to the free ones."""
    count = int(free[0])
    free[1 + count : 1 + count + rows.shape[0]] = rows.flip(0)
    free[0] = count + rows.shape[0]


@dataclass(frozen=True, slots=True)
class ImplicitDecay:
    """All scores times `rate` at each step, without touching them: what comes later counts more.

    A score that comes at step t is inserted times ``factor(t)``, and a threshold is compared times the same. Before the
    factor leaves float32's comfort, `renormalise` multiplies the whole sketch once; when that is due follows from t, so
    that a resumed run needs no state. (CAFE+ has the idea; its published program never multiplies what it inserts.)

    Attributes:
        rate: of a step, in (0, 1]; 1: no decay.
        most: the largest factor, above 1.
    """

    rate: float
    most: float = 1e4

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1 or not self.most > 1:
            raise OptionError(
                f"ImplicitDecay: rate must lie in (0, 1] and most be above 1, got {self.rate} and {self.most}."
            )

    @property
    def period(self) -> int:
        """Steps from one renormalisation to the next; 0: there is none."""
        return 0 if self.rate == 1 else max(1, math.floor(math.log(self.most) / -math.log(self.rate)))

    def factor(self, step: int) -> float:
        """What scores and thresholds of a step, counted from 1 as in `after_step`, are multiplied by."""
        return 1.0 if self.rate == 1 else self.rate ** -(step % self.period)

    def renormalise(self, sketch: Tensor, step: int) -> float:
        """Call at the beginning of each step: multiplies the sketch when that is due.

        Returns:
            What else is kept in the unit of the scores is to be multiplied by; 1.0 when nothing is due.
        """
        from pocketrec.native.sketch import sketch_decay

        if self.rate == 1 or not step or step % self.period:
            return 1.0
        factor: float = self.rate**self.period
        sketch_decay(sketch, factor)
        return factor
