"""Matrices that their method moves by a rule of its own, where the rule is a part of it and no optimizer's."""

from __future__ import annotations

from typing import Protocol, cast

import torch
from torch import Tensor

from pocketrec.compress.bank import Bank
from pocketrec.compress.group import Group

__all__ = ["Moves", "move_matrices"]


class Moves(Protocol):
    """What a method has besides, if its traits say that it moves matrices."""

    def move(self, group: Group, name: str, gradient: Tensor, *, held_out: bool) -> None:
        """Move a matrix in place, or let it rest.

        Args:
            group: the tensors.
            name: of the matrix.
            gradient: of the loss, of the matrix's shape; finite, and clipped if the run clips.
            held_out: whether it comes from validation rows, because the stage holds this matrix out.
        """
        ...


def move_matrices(bank: Bank, *, held_out: bool) -> None:
    """Let methods move the matrices of their traits' `moves`; their gradients are gone then.

    An optimizer that has all matrices of the bank passes these by if it makes its step afterwards.

    Args:
        bank: after backward.
        held_out: as for :meth:`Moves.move`.
    """
    for group in bank.groups:
        assert isinstance(group, Group)
        names = group.method.traits.moves
        for name in (spec.name for spec in group.specs() if spec.name in names):
            matrix = group.tensor(name)
            if matrix.grad is not None:
                with torch.no_grad():
                    cast("Moves", group.method).move(group, name, matrix.grad, held_out=held_out)
                matrix.grad = None
