"""What is done before a step, for those who ask for it: methods that are timed, and steps of codes that are fitted."""

from __future__ import annotations

from itertools import accumulate

import torch
from torch import Tensor

from pocketrec.compress.group import Group
from pocketrec.compress.learned_steps import learned_step_of, steps_of

__all__ = ["begin_step", "fit_steps"]


def begin_step(group: Group, *, step: int, rows: int, held_out: bool) -> None:
    """Tell the group's method, and look at its tables if that is due.

    Args:
        group: training form.
        step, rows, held_out: see :meth:`pocketrec.compress.method.Method.before_step`.
    """
    if group.method.traits.timed:
        group.method.before_step(group, step=step, rows=rows, held_out=held_out)
    storage = learned_step_of(group.rounds)
    if storage is not None and storage.every:
        fit_steps(group, due=step % storage.every == 0)


def fit_steps(group: Group, *, due: bool) -> None:
    """Fit one step for all codes of each table to its largest number; see the storage ``int4_table``.

    Args:
        group: training form, whose storage fits steps to tables.
        due: whether tables are looked at; those that have no step yet (a new or restarted one) are in any case.
    """
    storage = learned_step_of(group.rounds)
    assert storage is not None
    own = [int(t.settings.get("rows", -1)) for t in group.sizing.tables]
    with torch.no_grad():
        for rows, steps in zip(group.regions(), steps_of(group), strict=True):
            sizes = own if min(own) >= 0 and sum(own) == len(rows) else [len(rows)]
            for start, size in zip(accumulate([0, *sizes]), sizes, strict=False):
                part = slice(start, start + size)
                if size and (due or not steps[start] > 0):
                    steps[part] = _largest(rows[part]).div(storage.greatest).clamp(*storage.steps_within)


def _largest(rows: Tensor) -> Tensor:
    """The largest magnitude, without a second table in memory."""
    low, high = rows.detach().aminmax()
    return torch.maximum(-low, high)
