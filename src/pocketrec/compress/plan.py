"""The stages that the methods of several groups train in together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

from pocketrec.compress.method import of
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import GroupSizing
from pocketrec.spec.stage import Stage

__all__ = ["Planned", "most_train_bytes", "plan"]


class Planned(NamedTuple):
    """A stage, and the groups that are held in it. A method that settles may hold fewer of them than in the end."""

    stage: Stage
    groups: tuple[GroupSizing, ...]


def plan(groups: Sequence[GroupSizing], optimizer: OptimizerSpec) -> tuple[Planned, ...]:
    """The stages of all groups: those of whoever has most of them, all others stay in their last one.

    What somebody's stage holds out is held out of the common one. If it is to begin with other values than those of the
    stage before, all begin so: nets are everybody's.

    Args:
        groups: of a sizing, in its order.
        optimizer: whose state every stage holds.

    Raises:
        OptionError: one method would score its candidates while another trains or searches in a stage of its own.
    """
    plans: list[list[Planned]] = []
    for _, run in groupby(groups, key=lambda group: (group.method, group.options, group.joins)):
        alike = tuple(run)
        method = of(alike[0].method, alike[0].options)
        if method.traits.settles:
            searched = [Planned(stage, (group,)) for stage, group in method.search(alike, optimizer)]
            (last, _), *_ = method.stages(alike[-1], optimizer)
            plans.append([*searched, Planned(last, alike)])
        else:
            each = (method.stages(group, optimizer) for group in alike)
            plans += ([Planned(stage, (held,)) for stage, held in stages] for stages in each)
    _refuse_judging_together(plans)
    longest = max(plans, key=len)
    found = []
    for number, (stage, _) in enumerate(longest):
        at_once = [own[number].stage for own in plans if number < len(own)]
        begins = next((s for s in at_once if s.begin != "warm"), stage)
        found.append(
            Planned(
                replace(
                    stage, held_out=_held_out(at_once), begin=begins.begin,
                    optimizer=stage.optimizer if begins.begin == "warm" else "reset",
                ),
                tuple(held for own in plans for held in own[min(number, len(own) - 1)].groups),
            )
        )  # fmt: skip
    return tuple(found)


def _refuse_judging_together(plans: Sequence[Sequence[Planned]]) -> None:
    """A candidate is judged by the AUC of the whole model, so that nothing else may change or be judged meanwhile."""
    for plan_number, own in enumerate(plans):
        for number, (stage, (group, *_)) in enumerate(own):
            if not stage.scores:
                continue
            for other_number, other in enumerate(plans):
                if other_number != plan_number and number < len(other) - 1:
                    held = other[number]
                    raise OptionError(
                        f"{group.method} scores candidates in its stage {stage.name!r}, while {held.groups[0].method} "
                        f"is in its stage {held.stage.name!r}: they would be judged together. Give all its tables to "
                        "one method with one set of options, one beside the other, or join methods of one stage."
                    )


def _held_out(stages: Sequence[Stage]) -> tuple[str, ...]:
    """What any of the stages that are made at once holds out."""
    return tuple(dict.fromkeys(name for stage in stages for name in stage.held_out))


def most_train_bytes(groups: Sequence[GroupSizing], optimizer: OptimizerSpec) -> int:
    """Training bytes of the largest stage."""
    return max(sum(group.train_bytes for group in held) for _, held in plan(groups, optimizer))
