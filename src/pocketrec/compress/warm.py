"""Taking over the values of an earlier bank."""

from __future__ import annotations

import torch

from pocketrec.compress.group import Group
from pocketrec.spec.errors import OptionError

__all__ = ["copy_tables"]


def copy_tables(group: Group, previous: Group) -> None:
    """Copy tensors of equal name and shape; stacked rows of tables that grew are copied table by table.

    A tensor "stacks" when its first axis is the sum of the tables' ``rows`` settings. Everything else of another shape
    cannot be taken over and raises OptionError, because starting it anew in silence would lose what was learned.
    """
    old_rows = [int(t.settings.get("rows", 0)) for t in previous.sizing.tables]
    new_rows = [int(t.settings.get("rows", 0)) for t in group.sizing.tables]
    for spec in group.specs():
        if spec.name not in previous.tensors():
            continue
        new, old = group.tensor(spec.name).detach(), previous.tensor(spec.name).detach()
        if new.shape == old.shape:
            new.copy_(old)
        elif new.shape[0] == sum(new_rows) and old.shape[0] == sum(old_rows) and new.shape[1:] == old.shape[1:]:
            for target, source in zip(torch.split(new, new_rows), torch.split(old, old_rows), strict=True):
                kept = min(target.shape[0], source.shape[0])
                target[:kept] = source[:kept]
        else:
            raise OptionError(
                f"{group.sizing.method}: tensor {spec.name!r} of shape {tuple(old.shape)} cannot be taken over into "
                f"{tuple(new.shape)}. Keep the sizing of the model that you continue."
            )
