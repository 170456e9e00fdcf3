"""Stage: one part of a method's own training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pocketrec.spec.errors import OptionError

__all__ = ["Stage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What the trainer does in one stage of a method. A method names stages; the loop stays the trainer's.

    Attributes:
        name: shown in progress and logs, unique within a method.
        epochs: how long, 1 or more; None means as many epochs as the run's configuration says.
        split: the rows that train in this stage.
        tables: whether the tables train.
        dense: whether the dense nets train.
        optimizer: ``keep`` carries state of dense nets and tables over from the stage before, ``reset`` starts anew.
        begin: of a stage behind another one, with which values of rows and nets. ``warm``: those of the stage before.
            ``initial``: those that the run began with; ``fresh``: rows as a run of another seed begins, nets as
            ``initial``. Rows begin anew in tables whose methods settled, all others go on; maps, and what the search
            decided (`pocketrec.compress.holdings.Scratch`), stay.
        held_out: names of tensors (matrices of the methods' groups) that never learn from the rows of `split`: behind
            each step stands one on a batch of validation rows, from which they learn and nothing else does.
        scores: how many candidates of a search are scored at most, each by its AUC on validation rows; nothing trains
            meanwhile, and `epochs`, `split`, `tables` and `dense` mean nothing. 0: a stage of training.
        score_rows: how many validation rows, the first ones, judge a candidate; None: all.
        judged_first: whether what the last stage begins with may be chosen, too, as its epoch 0: where that would serve
            as it is, and training may only do harm to it.
    """

    name: str
    epochs: int | None = None
    split: Literal["train", "validation"] = "train"
    tables: bool = True
    dense: bool = True
    optimizer: Literal["keep", "reset"] = "reset"
    begin: Literal["warm", "initial", "fresh"] = "warm"
    held_out: tuple[str, ...] = ()
    scores: int = 0
    score_rows: int | None = None
    judged_first: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "held_out", tuple(self.held_out))  # of JSON it is a list
        if self.epochs is not None and self.epochs < 1:
            raise OptionError(f"Stage {self.name!r} has {self.epochs} epochs; at least 1 is needed.")
        if self.begin != "warm" and self.optimizer == "keep":
            raise OptionError(
                f"Stage {self.name!r} begins with {self.begin} values, which no state of an optimizer is of. "
                "Reset the optimizer."
            )
        if self.held_out and self.split == "validation":
            raise OptionError(
                f"Stage {self.name!r} trains on validation rows, from which {', '.join(self.held_out)} are held out."
            )
        if self.scores < 0 or (self.score_rows is not None and self.score_rows < 1):
            raise OptionError(
                f"Stage {self.name!r} scores {self.scores} candidates on {self.score_rows} rows; 0 candidates or more "
                "and 1 row or more are needed."
            )
        if self.judged_first and (self.scores or self.begin != "warm"):
            raise OptionError(f"Stage {self.name!r} begins with nothing that could be chosen.")
        if self.scores and self.held_out:
            raise OptionError(f"Stage {self.name!r} scores candidates, so nothing is held out of its training.")

    @property
    def parts(self) -> tuple[Literal["train", "validation"], ...]:
        """The parts of the data that it learns from, or scores candidates on."""
        if self.scores:
            return ("validation",)
        return ("train", "validation") if self.held_out else (self.split,)
