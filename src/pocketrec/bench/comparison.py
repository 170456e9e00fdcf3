"""Who is ahead of whom: ranks within a budget, differences paired by seed, and the front of bytes against AUC."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pocketrec.bench.grouping import Group, Scene
from pocketrec.metrics.paired_interval import PairedInterval, paired_interval

__all__ = ["Difference", "auc_interval", "best_of", "difference", "front", "pairs", "rank_in", "seed_aucs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """AUC of one group less that of another, paired by seed.

    Attributes:
        mean: of the differences.
        half: half the width of the 95 % interval by Student's t; None of a single pair.
        count: how many pairs.
    """

    mean: float
    half: float | None
    count: int

    @property
    def verdict(self) -> str:
        """ "ahead" or "behind" when the interval leaves out 0, else "not told apart"; "one pair" says nothing."""
        if self.half is None:
            return "one pair"
        if abs(self.mean) <= self.half:
            return "not told apart"
        return "ahead" if self.mean > 0 else "behind"


def seed_aucs(group: Group) -> dict[int, float]:
    """The AUC by seed, of test rows or (when nothing was tested) of validation rows; the mean of runs of one seed."""
    found: dict[int, list[float]] = {}
    for result in group.results:
        metrics = result.test if group.tested else result.validation
        if metrics is not None and metrics.auc is not None:
            found.setdefault(result.seed, []).append(metrics.auc)
    return {seed: math.fsum(aucs) / len(aucs) for seed, aucs in found.items()}


def auc_interval(group: Group) -> PairedInterval | None:
    """The 95 % interval of the mean AUC over seeds, by Student's t; None of fewer than two seeds."""
    return paired_interval(list(seed_aucs(group).values()))


def difference(group: Group, other: Group) -> Difference | None:
    """AUC of `group` less that of `other` over the seeds that both have.

    None when they share no seed, or one was judged on test rows and the other on validation rows.
    """
    if group.tested != other.tested:
        return None
    mine, theirs = seed_aucs(group), seed_aucs(other)
    differences = [mine[seed] - theirs[seed] for seed in sorted(mine.keys() & theirs.keys())]
    if not differences:
        return None
    interval = paired_interval(differences)
    if interval is None:
        return Difference(mean=differences[0], half=None, count=1)
    return Difference(mean=interval.mean, half=interval.half, count=interval.count)


def pairs(scene: Scene) -> dict[int, dict[int, Difference]]:
    """By the number of a group: its difference to each other of its budget, and to each at a budget of its own."""
    alone = {g.number for g in scene.landmarks()}
    found: dict[int, dict[int, Difference]] = {}
    for group in scene.groups:
        for other in scene.groups:
            if other is not group and (other.budget_bytes == group.budget_bytes or other.number in alone):
                less = difference(group, other)
                if less is not None:
                    found.setdefault(group.number, {})[other.number] = less
    return found


def rank_in(group: Group, groups: Sequence[Group]) -> int | None:
    """1 for the highest mean AUC of the groups; those with equal means share a rank. None without an AUC."""
    auc = group.metric("auc")
    if auc is None:
        return None
    return 1 + sum(mean > auc.mean for mean in _means(groups).values())


def best_of(groups: Sequence[Group]) -> Group | None:
    """The one with the highest mean AUC, the first of several; None when none has an AUC."""
    means = _means(groups)
    return max((g for g in groups if g.number in means), key=lambda g: means[g.number], default=None)


def front(groups: Sequence[Group]) -> list[Group]:
    """By rising bytes, the groups that have a higher mean AUC than every other of as few bytes or fewer."""
    means = _means(groups)
    found: list[Group] = []
    for group in sorted((g for g in groups if g.number in means), key=lambda g: (g.bytes, -means[g.number])):
        if not found or means[group.number] > means[found[-1].number]:
            found.append(group)
    return found


def _means(groups: Iterable[Group]) -> Mapping[int, float]:
    return {g.number: auc.mean for g in groups if (auc := g.metric("auc")) is not None}
