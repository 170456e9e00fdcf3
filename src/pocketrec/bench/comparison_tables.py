"""Tables of who is ahead: every series over all budgets, and within a budget ranks and differences paired by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pocketrec.bench.comparison import Difference, auc_interval, best_of, front, pairs, rank_in
from pocketrec.bench.grouping import Group, Scene, ratio_of
from pocketrec.bench.tables import Block, Cell, Column, Row, Table, allowed, by_budget, spread_cell
from pocketrec.bench.wording import NOTHING, bytes_text, signed

__all__ = ["difference_text", "differences", "overview_table", "references", "standings_table"]

_TONES = {"ahead": "best", "behind": "bad"}


def overview_table(scene: Scene) -> Table | None:
    """Mean AUC of each series at each budget that several share, and its mean rank; None without two budgets."""
    panels = [(b, groups) for b, _, groups in scene.panels() if len(groups) > 1]
    if len(panels) < 2:
        return None
    rows = []
    for series in scene.series:
        own = [(groups, next((g for g in groups if g.series == series), None)) for _, groups in panels]
        known = [group for _, group in own if group is not None]
        ranks = [rank for groups, group in own if group is not None and (rank := rank_in(group, groups)) is not None]
        if known:
            mean = math.fsum(ranks) / len(ranks) if ranks else None
            cells = (
                Cell(text=series.label, method=series.method),
                *(_auc_cell(group, groups) for groups, group in own),
                Cell(text=NOTHING if mean is None else f"{mean:.1f} over {len(ranks)}", value=mean),
            )
            rows.append(Row(cells=cells, groups=tuple(g.number for g in known)))
    titles = [ratio_of(groups) or bytes_text(b) for b, groups in panels]
    return Table(
        columns=(
            Column(title="method"),
            *(Column(title=title, hint=allowed(groups)) for title, (_, groups) in zip(titles, panels, strict=True)),
            Column(title="mean rank", hint="over how many budgets; 1 is the highest mean AUC"),
        ),
        blocks=(Block(heading="", rows=tuple(rows)),),
    )


def standings_table(scene: Scene) -> Table:
    """Within each budget: mean, interval, rank, and the difference to the best of the budget, paired by seed.

    The last two columns are what the page writes anew when another reference is chosen.
    """
    best_front = {g.number for g in front(scene.groups)}
    told = pairs(scene)
    budgets: dict[int, list[Group]] = {}
    for group in scene.groups:
        budgets.setdefault(group.budget_bytes, []).append(group)

    def row(group: Group, best: float) -> tuple[Cell, ...]:
        same = budgets[group.budget_bytes]
        auc, interval, rank = group.metric("auc"), auc_interval(group), rank_in(group, same)
        leader = best_of(same)
        less = told.get(group.number, {}).get(leader.number) if leader is not None else None
        within = NOTHING if interval is None else f"{interval.low:.4f} to {interval.high:.4f}"
        return (
            Cell(text=group.series.label, method=group.series.method),
            Cell(text=NOTHING if rank is None else str(rank), value=rank),
            spread_cell(auc, 4, "best" if auc and auc.mean == best else ""),
            Cell(text=within, value=None if interval is None else interval.low),
            Cell(text="front" if group.number in best_front else ""),
            *_difference_cells(less, itself=leader is group),
        )

    columns = (
        Column(title="method"),
        Column(title="rank", hint="within the budget, by mean AUC; equal means share a rank"),
        Column(title="AUC", hint="mean over seeds and standard deviation"),
        Column(title="95 % interval", hint="of the mean AUC over seeds, by Student's t"),
        Column(title="front", hint="no other of this data set and model has a higher mean AUC in as few bytes"),
        Column(
            title="less the reference, pairs",
            hint="AUC less that of the reference, paired by seed (95 % interval), pairs",
        ),
        Column(title="verdict", hint="ahead or behind when the 95 % interval leaves out 0"),
    )
    return Table(columns=columns, blocks=by_budget(scene, row))


def differences(scene: Scene) -> dict[int, dict[int, Sequence[str]]]:
    """By the numbers of a group and of its reference: text, verdict, tone; what the page's script writes."""
    return {
        number: {other: _written(less) for other, less in row.items()} for number, row in pairs(scene).items()
    }  # fmt: skip


def references(scene: Scene) -> list[tuple[str, Mapping[int, int]]]:
    """What a difference may be to, besides the best: a series at the same budget, or a group at a budget of its own.

    Returns:
        What to call it, and for each group's number that of its reference.
    """
    found: list[tuple[str, Mapping[int, int]]] = []
    alone = scene.landmarks()
    for series in scene.series:
        own = {g.budget_bytes: g.number for g in scene.groups if g.series == series and g not in alone}
        if own:
            found.append((series.label, {g.number: own[g.budget_bytes] for g in scene.groups if g.budget_bytes in own}))
    found += [(f"{g.series.label} at {g.budget}", {other.number: g.number for other in scene.groups}) for g in alone]
    return found


def difference_text(less: Difference) -> str:
    """The mean, its interval and the number of pairs.

    >>> difference_text(Difference(mean=0.0034, half=0.0016, count=5))
    '+0.0034 (+0.0018 to +0.0050), 5'
    """
    if less.half is None:
        return f"{signed(less.mean)}, 1"
    return f"{signed(less.mean)} ({signed(less.mean - less.half)} to {signed(less.mean + less.half)}), {less.count}"


def _written(less: Difference) -> tuple[str, str, str]:
    return difference_text(less), less.verdict, _TONES.get(less.verdict, "")


def _difference_cells(less: Difference | None, *, itself: bool) -> tuple[Cell, Cell]:
    if less is None:
        return Cell(text="the reference" if itself else NOTHING), Cell(text="")
    text, verdict, tone = _written(less)
    return Cell(text=text, value=less.mean), Cell(text=verdict, tone=tone)


def _auc_cell(group: Group | None, groups: Sequence[Group]) -> Cell:
    auc = None if group is None else group.metric("auc")
    if auc is None:
        return Cell(text=NOTHING)
    return Cell(text=f"{auc.mean:.4f}", tone="best" if best_of(groups) is group else "", value=auc.mean)
