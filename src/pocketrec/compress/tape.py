"""Tape: what a lookup must remember until its gradient comes, and what an adaptive method is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pocketrec.compress.group import Group, Pool
from pocketrec.compress.jagged import values_of_bags
from pocketrec.native.norms import norms
from pocketrec.spec.errors import OptionError

__all__ = ["Tape", "Touched", "listened", "touched"]

_PADDING_COLUMN = 8  # of a program row, see pocketrec.native.program


@dataclass(slots=True)
class Tape:
    """One lookup of one group: what it was called with, and the gradient of its result once backward has brought it.

    Where it handed its addresses back they are kept, so that nobody looks for them again. A program is there if it was
    not the group's own: rows of distinct ids, one column for each table; or rows at addresses, which are `ids` then.

    Where vectors are made of looked-up rows, two tapes share a call: pairs come from that of the rows (`tells` is
    False), and what an adaptive method is told from that of the vectors (`learns` is False).
    """

    group: int
    ids: Tensor
    offsets: Tensor | None
    weights: Tensor | None
    pool: Pool
    addresses: Tensor | None = None
    program: Tensor | None = None
    at_addresses: bool = False
    learns: bool = True
    tells: bool = True
    _grad: Tensor | None = None
    _version: int = 0

    @property
    def grad(self) -> Tensor | None:
        """The gradient, or None as long as there is none.

        Raises:
            OptionError: it was changed in place since it came.
        """
        if self._grad is not None and self._grad._version != self._version:
            raise OptionError(
                "The gradient of looked-up vectors was changed in place after backward. It is not copied: give "
                "backward a tensor of its own, or call bank.collect() before the change."
            )
        return self._grad

    def take(self, grad: Tensor) -> None:
        """A gradient has come; several are added up."""
        self._grad = grad if self._grad is None else self._grad + grad
        self._version = self._grad._version


class _Listener(torch.autograd.Function):
    """Hands the gradient of a lookup's result to its tapes as it is. The `grad` of a leaf would be a copy."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, vectors: Tensor, tapes: Sequence[Tape]) -> Tensor:
        ctx.tapes = tapes
        return vectors

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor | None, None]:
        for tape in ctx.tapes:
            tape.take(grads[0])
        return None, grads[0] if ctx.needs_input_grad[1] else None, None


def listened(vectors: Tensor, *tapes: Tape) -> Tensor:
    """The result of a lookup whose gradient goes to the tape; to several, where groups found it together."""
    anchor = vectors.new_empty(0).requires_grad_()  # autograd follows what comes from something that learns
    found: Tensor = _Listener.apply(anchor, vectors, tapes)  # type: ignore[no-untyped-call]  # torch has no types here
    return found


@dataclass(frozen=True, slots=True)
class Touched:
    """Looked-up values, padding left out.

    Attributes:
        ids: int64 [values].
        tables: int64 [values], which table of the group each is of.
        importance: float32 [values], L2 norm of the gradient of each vector (of its bag's, for bags).
    """

    ids: Tensor
    tables: Tensor
    importance: Tensor

    @staticmethod
    def joined(parts: list[Touched]) -> Touched:
        """All of them, one after the other."""
        if len(parts) == 1:
            return parts[0]
        return Touched(
            torch.cat([p.ids for p in parts]),
            torch.cat([p.tables for p in parts]),
            torch.cat([p.importance for p in parts]),
        )


def touched(group: Group, tape: Tape) -> Touched:
    """What one lookup touched and how strongly.

    Raises:
        OptionError: bags pooled by max, where a vector's gradient is spread over the values of its bag.
    """
    assert tape.grad is not None, "called before backward"
    grad, columns = tape.grad, len(group.columns)
    if tape.offsets is None:
        own = tape.ids if columns == tape.ids.shape[1] else tape.ids[:, group.columns]
        ids, importance = own.reshape(-1), norms(grad).view(-1)
        if all(padding == -1 for padding in group.padding):  # nothing to leave out
            return Touched(ids, group.tables_of_ids(len(own)), importance)
        column = torch.arange(columns).repeat(len(own))
    elif tape.pool == "max":
        raise OptionError("An adaptive method takes bags pooled by sum or mean, not max.")
    else:
        place, column, bag = values_of_bags(tape.offsets, columns)
        ids = tape.ids[place]
        importance = norms(grad)[place] if tape.pool == "none" else norms(grad).t().reshape(-1)[bag]
        if tape.weights is not None:
            importance = importance * tape.weights.detach().abs()[place]
    kept = ids != group.program[:, _PADDING_COLUMN][column]
    return Touched(ids[kept], group.tables_of(column[kept]), importance[kept])
