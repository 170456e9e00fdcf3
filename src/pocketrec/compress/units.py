"""Units: groups that hold the same tables, looked up as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, final

import torch
from torch import Tensor

from pocketrec.compress.computed import vectors_of_values
from pocketrec.compress.group import Group, Pool
from pocketrec.compress.jagged import check_bags, own_bags
from pocketrec.compress.joined import LEFT_OUT, left_over, mean_factors, padding_of_rest, summed_bags
from pocketrec.compress.rounded import rounded_values
from pocketrec.native.joined import Join, Joined
from pocketrec.spec.errors import OptionError
from pocketrec.spec.sizing import Joins

__all__ = ["LookUp", "Unit", "looked_up", "rows_of", "shared_bags", "units_of"]


_JOINS: Final[dict[Joins, Join]] = {"alone": Join.ALONE, "rest": Join.REST, "factor": Join.FACTOR}


class LookUp(Protocol):
    """Vectors of one group: float32 [batch, columns, dim], or [values, dim] for pool ``none`` with offsets."""

    def __call__(
        self, index: int, group: Group, ids: Tensor, offsets: Tensor | None, weights: Tensor | None, pool: Pool, /
    ) -> Tensor: ...


@final
@dataclass(slots=True)
class Unit:
    """A group that stands alone with those that join it; a table has the same place in all of them.

    Attributes:
        first: number of the first group among those of the bank.
        groups: one or more.
    """

    first: int
    groups: tuple[Group, ...]
    _joined: Joined | None = None

    @property
    def multiplied(self) -> bool:
        """Whether one of them brings factors."""
        return any(group.sizing.joins == "factor" for group in self.groups)

    def joined(self, kernels: Any) -> Joined | None:
        """The look-ups of ids [batch, columns] of all its groups in one.

        None where vectors are widened, or where ids with an address are asked for again (:attr:`Access.adds_from`).
        """
        parts = []
        for group in self.groups:
            part = group.prepared() if group.is_gathered and group.access.adds_from is None else None
            if part is None:
                return None
            parts.append(part)
        if self._joined is None or not self._joined.is_of(parts):
            joins = [_JOINS[group.sizing.joins] for group in self.groups]
            self._joined = Joined(kernels, parts, joins, len(self.groups[0].columns))
        return self._joined


def units_of(groups: Iterable[Group]) -> list[Unit]:
    """The units of a bank's groups, in their order."""
    found: list[Unit] = []
    for index, group in enumerate(groups):
        if group.sizing.joins == "alone":
            found.append(Unit(index, (group,)))
        else:
            found[-1] = Unit(found[-1].first, (*found[-1].groups, group))
    return found


def shared_bags(ids: Tensor, offsets: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Bags whose values groups may share: what one has found of a value must be true of it in every bag."""
    if not torch.compiler.is_compiling():
        check_bags(ids, offsets)
    return own_bags(ids, offsets, weights) if offsets.dim() == 2 else (ids, offsets, weights)


def looked_up(
    unit: Unit, look_up: LookUp, ids: Tensor, offsets: Tensor | None, weights: Tensor | None, pool: Pool, *,
    by_value: bool,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Vectors of a unit, and the factors that they are still to be multiplied by.

    Args:
        unit: its groups are looked up one after the other.
        look_up: how.
        ids, weights, pool: as in :meth:`~pocketrec.compress.bank.Bank.forward`.
        offsets: of the unit's columns.
        by_value: whether values of bags are multiplied by their factors before they are pooled; then no factors are
            left to multiply by.
    """
    first = unit.groups[0]
    if len(unit.groups) == 1:
        return look_up(unit.first, first, ids, offsets, weights, pool), None
    weights, pool = _summed(first, ids, offsets, weights, pool)
    apart = by_value and offsets is not None and pool != "none" and unit.multiplied
    how: tuple[Tensor | None, Pool] = (None, "none") if apart else (weights, pool)
    vectors, factors, asked = look_up(unit.first, first, ids, offsets, *how), None, ids
    for index, (before, group) in enumerate(zip(unit.groups, unit.groups[1:], strict=False), unit.first + 1):
        if group.sizing.joins == "factor":
            factors = look_up(index, group, ids, offsets, *how)
            continue
        asked = left_over(
            asked, offsets, before.access.hiding(before.addresses(asked, offsets)), before.columns, group.padding
        )
        vectors = _plus(vectors, look_up(index, group, asked, offsets, *how))
    if factors is not None and apart and offsets is not None:
        return summed_bags(vectors * factors, offsets, len(first.columns), weights), None
    return vectors, factors


def rows_of(groups: Sequence[Group], place: int, ids: Tensor) -> Tensor:
    """Vectors of ids int64 [n] of one table alone: float32 [n, dim].

    Args:
        groups: of a unit.
        place: of the table in them.
        ids: known to the table.
    """
    asked, tables, ends = ids, torch.full_like(ids, place), torch.tensor([0, len(ids)])
    found = torch.empty(0)
    for group in groups:
        program, joins = group.program_of(place), group.sizing.joins
        alone = vectors_of_values if group.rounds is None else rounded_values
        own = alone(group, asked, ends, tables, program)
        found = own if joins == "alone" else found + own if joins == "rest" else found * own
        if group.rest is not None:
            addresses = group.access.hiding(group.addresses(asked, ends, program=program))
            asked = left_over(asked, ends, addresses, [0], padding_of_rest([-1]))
    return found


def _plus(vectors: Tensor, found: Tensor) -> Tensor:
    """Their sum; in place where nobody learns, for the vectors were made for this call."""
    return vectors + found if vectors.requires_grad or found.requires_grad else vectors.add_(found)


def _summed(
    group: Group, ids: Tensor, offsets: Tensor | None, weights: Tensor | None, pool: Pool
) -> tuple[Tensor | None, Pool]:
    """Weights and pooling with which parts of a bag that are looked up apart add up to the whole."""
    if offsets is None or pool not in ("mean", "max"):
        return weights, pool
    if weights is not None:
        raise ValueError("weights (a factor per value) need pooling by sum.")
    if pool == "max":
        raise OptionError(f'{group.sizing.method} looks ids up in two parts, so bags cannot be pooled by "max".')
    own = [-1 if pad == LEFT_OUT else pad for pad in group.padding]
    return mean_factors(ids, offsets, own), "sum"
