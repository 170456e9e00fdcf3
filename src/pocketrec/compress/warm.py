"""Taking over the values of an earlier bank."""

from __future__ import annotations

import torch

from pocketrec.compress.group import Group
from pocketrec.spec.errors import OptionError

__all__ = ["copy_tables"]


def copy_tables(group: Group, previous: Group) -> None:
    """Copy tensors of equal name; stacked rows of tables that grew are copied table by table.

    A tensor "stacks" when its first axis is the sum of the tables' ``rows`` settings. Tables may differ in their rows
    only where the method's traits say that they grow: elsewhere a row of the one bank is not that of the other.

    Raises:
        OptionError: a tensor cannot be taken over. Starting it anew in silence would lose what was learned.
    """
    old_rows, new_rows = _rows(previous), _rows(group)
    if old_rows != new_rows and not group.method.traits.grows:
        raise OptionError(
            f"{group.sizing.method}: rows per table were {old_rows} and are now {new_rows}; which row is whose changes "
            "with them. Keep the sizing of the model that you continue."
        )
    for name in (spec.name for spec in group.specs() if spec.name in previous.tensors()):
        new, old = group.tensor(name).detach(), previous.tensor(name).detach()
        if old_rows != new_rows and new.shape[:1] == (sum(new_rows),) and new.shape[1:] == old.shape[1:]:
            for target, source in zip(torch.split(new, new_rows), torch.split(old, old_rows), strict=True):
                kept = min(target.shape[0], source.shape[0])
                target[:kept] = source[:kept]
        elif new.shape == old.shape:
            new.copy_(old)
        else:
            raise OptionError(
                f"{group.sizing.method}: tensor {name!r} of shape {tuple(old.shape)} cannot be taken over into "
                f"{tuple(new.shape)}. Keep the sizing of the model that you continue."
            )


def _rows(group: Group) -> list[int]:
    """Rows of every table in tensors that stack them; 0 where a method says nothing of rows."""
    return [int(t.settings.get("rows", 0)) for t in group.sizing.tables]
