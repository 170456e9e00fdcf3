"""Tables that were sized one by one, held as one group: one native call looks all of them up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from pocketrec.compress.method import of
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import GroupSizing

__all__ = ["together"]


def together(each: Sequence[Sequence[GroupSizing]], optimizer: OptimizerSpec) -> tuple[GroupSizing, ...]:
    """The groups of several tables, those of equal methods and options as one.

    Args:
        each: per table, what a method decided for it alone: its group, and those that join it.
        optimizer: whose state is held.

    Returns:
        Groups that hold no more bytes than those given; what a group has once (the seed of its hashes) is held once.

    Raises:
        OptionError: a method is not separable.
    """
    alike: dict[str, list[Sequence[GroupSizing]]] = {}
    for groups in each:
        kind = json.dumps([[g.method, g.options, g.joins] for g in groups], sort_keys=True, default=list)
        alike.setdefault(kind, []).append(groups)
    return tuple(chain.from_iterable(_joined(own, optimizer) for own in alike.values()))


def _joined(each: Sequence[Sequence[GroupSizing]], optimizer: OptimizerSpec) -> list[GroupSizing]:
    """Groups of equal methods, place by place."""
    found = []
    for same in zip(*each, strict=True):
        method = of(same[0].method, same[0].options)
        if len(same) > 1 and not method.traits.separable:
            raise OptionError(
                f"{method.name} decides for tables together, so that each cannot have bytes of its own: give it one "
                "number of bytes, or a part for each table."
            )
        tables = [sized for group in same for sized in group.tables]
        held = same[0] if len(same) == 1 else method.group_sizing(tables, {}, optimizer)
        found.append(replace(held, joins=same[0].joins))
    return found
