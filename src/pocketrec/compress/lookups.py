"""Lookups: how a bank looks its groups up in one call of it, and what it keeps to learn from."""

from __future__ import annotations

from functools import partial
from typing import Literal, final

import torch
from torch import Tensor

from pocketrec.compress.computed import computed_vectors, rows_of_ids
from pocketrec.compress.group import Form, Group, Pool
from pocketrec.compress.jagged import columns_of_values
from pocketrec.compress.rounded import rounded_vectors
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
        if group.access.computes or group.rounds is not None:
            return self._made(index, group, ids, offsets, weights, pool)
        if self._by_pairs:
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

    def _made(
        self, index: int, group: Group, ids: Tensor, offsets: Tensor | None, weights: Tensor | None, pool: Pool
    ) -> Tensor:
        """Vectors that are made of looked-up rows, and told to an adaptive method as others are."""
        if group.access.computes:
            vectors = computed_vectors(group, ids, offsets, weights, pool, partial(self._rows, index, group))
        else:
            vectors = rounded_vectors(group, ids, offsets, weights, pool, partial(self._rows_at, index, group))
        if not (self._by_pairs and self._learns and group.method.traits.adaptive):
            return vectors
        self._tapes.append(Tape(index, ids, offsets, weights, pool, learns=False))
        return listened(vectors, self._tapes[-1])

    @property
    def _by_pairs(self) -> bool:
        return self._form == "train" and self._gradient == "pairs"

    def _rows_at(self, index: int, group: Group, addresses: Tensor) -> Tensor:
        """Rows at addresses, which will be read as the storage serves them."""
        if not self._by_pairs:
            return group.read_at(addresses, sparse=self._gradient == "sparse")
        with torch.no_grad():
            rows = group.read_at(addresses)
        if not self._learns:
            return rows
        self._tapes.append(Tape(index, addresses, None, None, "none", at_addresses=True, tells=False))
        return listened(rows, self._tapes[-1])

    def _rows(self, index: int, group: Group, ids: Tensor, ends: Tensor, program: Tensor) -> Tensor:
        """Rows of ids from which vectors will be computed, see `pocketrec.compress.computed`."""
        if not self._by_pairs or not group.access.regions:
            return rows_of_ids(group, ids, ends, program, sparse=self._gradient == "sparse")
        with torch.no_grad():
            rows = rows_of_ids(group, ids, ends, program)
        if not self._learns:
            return rows
        self._tapes.append(Tape(index, ids, ends, None, "none", program=program, tells=False))
        return listened(rows, self._tapes[-1])

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
