"""Candidates: a search asks which is to be scored next, and is told how good it was. Whoever scores owns the loop.

A method whose traits say `scores` keeps all of its search in tensors of its group, so that a checkpoint between any two
scorings holds it, and whoever goes on from there gets the same candidates.
"""

from __future__ import annotations

from typing import Protocol, cast

import torch

from pocketrec.compress.bank import Bank
from pocketrec.compress.group import Group

__all__ = ["Candidates", "best", "propose", "scored"]


class Candidates(Protocol):
    """What a method has besides, if its traits say that it scores."""

    def propose(self, group: Group) -> bool:
        """Let the group's vectors, in evaluation mode, be those of the next candidate.

        Asked twice without an answer in between, it proposes the same one.

        Returns:
            False if there is none: the search is over, and the vectors are those of the best.
        """
        ...

    def scored(self, group: Group, auc: float) -> None:
        """Note how good the proposed candidate was.

        Args:
            group: in which it was proposed.
            auc: 0..1, of the model on validation rows.
        """
        ...

    def best(self, group: Group) -> float:
        """The AUC of the best candidate so far; 0 if none was scored."""
        ...


def propose(bank: Bank) -> bool:
    """Let the bank's vectors, in evaluation mode, be those of the next candidate; False if there is none left."""
    with torch.no_grad():
        return any([method.propose(group) for method, group in _searching(bank)])


def scored(bank: Bank, auc: float) -> None:
    """Tell whoever proposed the AUC, 0..1, that the model had with its candidate."""
    with torch.no_grad():
        for method, group in _searching(bank):
            method.scored(group, auc)


def best(bank: Bank) -> float:
    """The AUC of the best candidate so far; 0 if none was scored."""
    return max((method.best(group) for method, group in _searching(bank)), default=0.0)


def _searching(bank: Bank) -> list[tuple[Candidates, Group]]:
    """Methods that score, with their groups; plans see to it that only one of them has candidates at a time."""
    groups = [group for group in bank.groups if isinstance(group, Group) and group.method.traits.scores]
    return [(cast("Candidates", group.method), group) for group in groups]
