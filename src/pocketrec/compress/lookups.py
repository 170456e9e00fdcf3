"""Lookups: how a bank looks its groups up in one call of it, and what it keeps to learn from."""

from __future__ import annotations

from functools import partial
from typing import Literal, final

import torch
from torch import Tensor

from pocketrec.compress.group import Form, Group, Pool
from pocketrec.compress.jagged import columns_of_values
from pocketrec.compress.tape import Tape, listened
from pocketrec.compress.units import Unit
from pocketrec.native.binding import kernels_for
from pocketrec.native.eager import is_eager
from pocketrec.native.plain_lookup import columns_in_bags
from pocketrec.spec.errors import OptionError

__all__ = ["Gradient", "Lookups"]

Gradient = Literal["pairs", "sparse", "dense"]


@final
class Lookups:
    """Look-ups of groups, one by one or together.

    Args:
        tapes: where look-ups are noted that are learned from by pairs.
        form: of the groups.
        gradient: of the bank.
        learns: whether it is in training mode.
    """

    def __init__(self, tapes: list[Tape], *, form: Form, gradient: Gradient, learns: bool) -> None:
        self._tapes, self._gradient, self._learns = tapes, gradient, learns and torch.is_grad_enabled()
        self._form = form

    def one(
        self, index: int, group: Group, ids: Tensor, offsets: Tensor | None, weights: Tensor | None, pool: Pool
    ) -> Tensor:
        """Vectors of one group: float32 [batch, columns, dim], or [values, dim] for pool ``none`` with offsets."""
        if self._form == "train" and self._gradient == "pairs":
            vectors = self._taped(index, group, ids, offsets, weights, pool)
        else:
            vectors = group.lookup(ids, offsets, weights, pool, sparse=self._gradient == "sparse")
        if offsets is not None and pool == "none" and group.access.widen is not None:
            of_column = columns_of_values if offsets.dim() == 1 else partial(columns_in_bags, ids)
            return group.widened(vectors, group.tables_of(of_column(offsets, len(group.columns))))
        return group.widened(vectors)

    def together(self, unit: Unit, ids: Tensor, *, by_value: bool) -> tuple[Tensor, None] | None:
        """Vectors of all groups of a unit by one native call, and that no factors are left to multiply by.

        The numbers are those of :func:`~pocketrec.compress.units.looked_up`. None where that has to be asked: the unit
        is one group, or widens vectors; somebody looks on (a compiler, a profiler); torch is to find the gradients.
        """
        grad = self._form == "train" and torch.is_grad_enabled()
        if len(unit.groups) == 1 or (grad and (self._gradient != "pairs" or unit.multiplied)):
            return None
        if (unit.multiplied and not by_value) or not is_eager(ids):
            return None
        kernels = kernels_for(ids)
        joined = None if kernels is None else unit.joined(kernels)
        if joined is None:
            return None
        learns = self._learns and grad
        vectors, asked = joined(ids, keeps=learns)
        if learns:
            tapes = [Tape(unit.first + i, own.ids, None, None, "sum", own.addresses) for i, own in enumerate(asked)]
            self._tapes += tapes
            vectors = listened(vectors, *tapes)
        return vectors, None

    def _taped(
        self, index: int, group: Group, ids: Tensor, offsets: Tensor | None, weights: Tensor | None, pool: Pool
    ) -> Tensor:
        """A lookup whose gradient will become pairs. In eval mode nothing is left to learn from."""
        if torch.is_grad_enabled() and weights is not None and weights.requires_grad:
            raise OptionError('Weights of values that train need bank.gradient = "sparse" or "dense", not "pairs".')
        with torch.no_grad():
            vectors = group.lookup(ids, offsets, weights, pool)
        if not self._learns:
            return vectors
        self._tapes.append(Tape(index, ids, offsets, weights, pool))
        return listened(vectors, self._tapes[-1])
