"""Group: the tensors that one method holds together, and the one native call that looks them up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, final

import torch
from torch import Tensor, nn

import pocketrec.native  # noqa: F401  registers torch.ops.pocketrec
from pocketrec.compress.access import Access, Combine
from pocketrec.compress.addressing._program import PROGRAM_COLUMNS
from pocketrec.compress.addressing.row import Row
from pocketrec.compress.holdings import Array, Rows, trained_storage
from pocketrec.compress.joined import LEFT_OUT
from pocketrec.compress.learned_steps import learned_step_of, state_of_weights, steps_at, steps_of, update_on_steps
from pocketrec.compress.method import Method, of
from pocketrec.compress.pairs import Pairs
from pocketrec.compress.parts.unchanged import Unchanged
from pocketrec.compress.storage import STORAGES, Storage
from pocketrec.native.binding import kernels_for
from pocketrec.native.eager import is_eager
from pocketrec.native.prepared import Prepared
from pocketrec.spec.errors import ArtifactError, OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import GroupSizing, TensorSpec

__all__ = ["POOLING", "Form", "Group", "Pool"]

Form = Literal["train", "serve"]
Pool = Literal["none", "sum", "mean", "max"]
_NO_END: Final = 2**63 - 1
POOLING: dict[str, int] = {"none": 0, "sum": 1, "mean": 2, "max": 3}


@final
class Group(nn.Module):
    """Tables of one method, attached to tensors that it need not own.

    Args:
        sizing: what is held.
        tensors: one per tensor of the form, by name, of exactly that shape and dtype (a memory map, shared memory ...).
        form: ``train`` (weights in the dtype they are trained in, optimizer state) or ``serve``.
        columns: the columns of the bank's ids that are of this group's tables, rising.
        places: for each of these columns, which table of the group it is of; columns may share a table.
        padding: for each of these columns, the padding id or -1.

    Attributes:
        access: how ids are looked up.
        kept: the storage of each weight tensor in this form, by name.
        storages: for each region, what the native ops call its storage.
        program: int64 [columns, 17], how the ids of each column become addresses.
        padding: for each column, the padding id or -1.
        learns_scales: whether the scales of its rows of codes learn.
        rest: the group that is asked for the ids for which this one has no address, or None.
    """

    rest: Group | None
    learns_scales: bool

    def __init__(
        self,
        sizing: GroupSizing,
        tensors: Mapping[str, Tensor],
        *,
        form: Form,
        columns: list[int],
        places: list[int],
        padding: list[int],
    ) -> None:
        super().__init__()
        object.__setattr__(self, "rest", None)  # the bank sets it; a module of the bank, not of this group
        self.sizing, self.form, self.columns, self.places = sizing, form, columns, places
        self.method: Method = of(sizing.method, sizing.options)
        self._attributes: dict[str, str] = {}
        for spec in self.specs():
            self._hold(spec, tensors)
        self.access: Access
        self.kept: dict[str, Storage]
        self.storages: list[int]
        self.padding = padding
        self.program: Tensor
        program = torch.zeros(len(columns), len(PROGRAM_COLUMNS), dtype=torch.int64)
        self.register_buffer("program", program, persistent=False)
        self.refresh()
        self.register_load_state_dict_post_hook(_refresh)  # type: ignore[no-untyped-call]  # torch has no types here

    def refresh(self) -> None:
        """Read the seeds that live in tensors: where ids are found depends on them. Call it when they were written."""
        self._prepared: Prepared | None = None
        self._unchanged: Unchanged | None = None
        self._tables = torch.empty(0, dtype=torch.int64)
        self._program_of_tables: Tensor | None = None
        self.access = self.method.access(self.sizing, self.tensors())
        self.kept = self._kept()
        stored = self.access.stored
        self.storages = [self.kept[name].code for name in self.access.regions] if stored is None else list(stored)
        self._rounds = self._storage_that_rounds()
        self._learned_step = learned_step_of(self._rounds)
        self.learns_scales = STORAGES.get(self.method.storage).learns_scales
        rows = [
            self._with_limit(self.access.addressing[place].program(column=column, padding=pad), place)
            for column, place, pad in zip(self.columns, self.places, self.padding, strict=True)
        ]
        # not written into the old one, so that whoever made something ready from it sees the change
        self.program = torch.tensor(rows, dtype=torch.int64, device=self.program.device)

    def _with_limit(self, row: list[int], place: int) -> list[int]:
        """The row with the end of the ids that a table of plain ids has."""
        table = self.sizing.tables[place].table
        if table.ids == "plain":
            row[PROGRAM_COLUMNS.index("limit")] = table.closed_rows
        return row

    def _kept(self) -> dict[str, Storage]:
        """The storage of each weight tensor in this form."""
        held = self.method.holdings(self.sizing.tables, self.sizing.settings)
        kept = self.method.storage
        return {
            h.name: STORAGES.get(kept) if self.form == "serve" else trained_storage(h, kept)
            for h in held
            if isinstance(h, (Rows, Array))
        }

    def _storage_that_rounds(self) -> Storage | None:
        storage, access = STORAGES.get(self.method.storage), self.access
        if self.form == "serve" or not storage.rounds_reads or access.computes:
            return None
        return storage if access.combine in (Combine.copy, Combine.sum, Combine.product) else None

    def specs(self) -> tuple[TensorSpec, ...]:
        """The tensors of this form, optimizer state included while training."""
        return self.sizing.serve if self.form == "serve" else (*self.sizing.train, *self.sizing.state)

    def _hold(self, spec: TensorSpec, tensors: Mapping[str, Tensor]) -> None:
        if spec.name not in tensors:
            raise ArtifactError(f"{self.sizing.method}: tensor {spec.name!r} is missing; there are {sorted(tensors)}.")
        tensor = tensors[spec.name]
        if tuple(tensor.shape) != spec.shape or tensor.dtype != getattr(torch, spec.dtype):
            raise ArtifactError(
                f"{self.sizing.method}: tensor {spec.name!r} is {tuple(tensor.shape)} {tensor.dtype}, "
                f"the sizing says {spec.shape} {spec.dtype}."
            )
        attribute = "t_" + spec.name.replace(".", "_")
        self._attributes[spec.name] = attribute
        if self.form == "train" and spec.role in ("weights", "matrix"):
            # codes have no gradient of their own; they move by pairs
            self.register_parameter(attribute, nn.Parameter(tensor, requires_grad=tensor.is_floating_point()))
        else:
            self.register_buffer(attribute, tensor)

    def tensor(self, name: str) -> Tensor:
        """The tensor of this name (parameters as they are: use ``.data`` to write)."""
        attribute = self._attributes[name]
        # not by getattr, which looks for it everywhere else first
        found = self._parameters.get(attribute, self._buffers.get(attribute))
        assert found is not None
        return found

    def tensors(self) -> dict[str, Tensor]:
        """All tensors of this form by name, detached, sharing memory."""
        return {spec.name: self.tensor(spec.name).detach() for spec in self.specs()}

    @property
    def dim(self) -> int:
        """Numbers per vector that the bank returns."""
        return self.sizing.tables[0].table.dim

    @property
    def is_whole(self) -> bool:
        """Whether looked-up vectors are those that the bank returns, with nothing left to do."""
        return self.access.widen is None and self.access.width == self.dim and not self.access.computes

    @property
    def is_gathered(self) -> bool:
        """Whether vectors are whole, and made of rows or blocks alone: then look-ups can be prepared and joined."""
        return self.is_whole and self.access.combine is not Combine.contract and self.rounds is None

    @property
    def rounds(self) -> Storage | None:
        """The storage as which rows are read while they train in float32, or None.

        None too where no rows are looked up but blocks of a shared array or slices of cores, and where rows are not
        what serves.
        """
        return self._rounds

    @property
    def unit(self) -> int:
        """Numbers per address."""
        return self.access.unit

    def regions(self) -> list[Tensor]:
        """The tensors that addresses count through."""
        return [self.tensor(name) for name in self.access.regions]

    def prepared(self) -> Prepared:
        """Lookups of ids [batch, columns] without a gradient and without torch's dispatcher around them."""
        if self._prepared is None or self._unchanged is None or not self._unchanged():
            access = self.access
            self._unchanged = Unchanged([self])
            self._prepared = Prepared(
                self.regions(), self.program, self.maps(), self.storages, access.width, access.parts,
                int(access.combine),
            )  # fmt: skip
        return self._prepared

    def program_of(self, place: int) -> Tensor:
        """The program for ids [batch, 1] of one table alone: int64 [1, 17]."""
        padding = LEFT_OUT if self.sizing.joins == "rest" else -1
        row = self.access.addressing[place].program(column=0, padding=padding)
        return torch.tensor([row], dtype=torch.int64)

    @property
    def program_of_tables(self) -> Tensor:
        """The program for bags of one table after the other, no padding: int64 [tables, 17]."""
        if self._program_of_tables is None:
            each = enumerate(self.access.addressing)
            rows = [self._with_limit(a.program(column=place, padding=-1), place) for place, a in each]
            self._program_of_tables = torch.tensor(rows, dtype=torch.int64)
        return self._program_of_tables

    def known(self, ids: Tensor, tables: Tensor) -> Tensor:
        """Ids int64 [n] of tables int64 [n], ranks beyond the rows of theirs as 0, which stands for them."""
        ends = [t.table.closed_rows if t.ids == "rank" else _NO_END for t in self.sizing.tables]
        if min(ends) == _NO_END:
            return ids
        return torch.where(ids < torch.tensor(ends)[tables], ids, 0)

    def tables_of(self, columns: Tensor) -> Tensor:
        """From numbers of this group's columns (0, 1, ...) to numbers of its tables, int64 of the same shape."""
        return torch.tensor(self.places)[columns]

    def tables_of_ids(self, batch: int) -> Tensor:
        """Which table each of the ids [batch, columns of this group] is of: int64 [batch x columns]. Not to be changed.

        Kept for the largest batch: each step asks for it, and writing it anew takes as long as some kernels.
        """
        count = batch * len(self.places)
        if len(self._tables) < count:
            self._tables = torch.tensor(self.places).repeat(batch)
        return self._tables[:count]

    def maps(self) -> Tensor | None:
        """The map that mapped addressing reads, as the ops take it."""
        return None if self.access.maps is None else self.tensor(self.access.maps)

    def addresses(self, ids: Tensor, offsets: Tensor | None = None, *, program: Tensor | None = None) -> Tensor:
        """Addresses of all values: int64 [values, parts], row-major over [batch, columns] for ids of two axes."""
        program = self.program if program is None else program
        found: Tensor = torch.ops.pocketrec.addresses(ids, offsets, program, self.maps(), self.access.parts)
        return found

    def lookup(
        self, ids: Tensor, offsets: Tensor | None, weights: Tensor | None, pool: Pool, *,
        sparse: bool = False, program: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Vectors before widening: float32 [batch, columns, width], or [values, width] for pool "none" with offsets.

        Raises:
            OptionError: pool "max" of vectors that are widened afterwards; the maximum must be taken after widening. Or
                rows of codes were to have a gradient.
        """
        if pool == "max" and offsets is not None and self.access.widen is not None:
            raise OptionError(f'{self.sizing.method} widens vectors after pooling, so bags cannot be pooled by "max".')
        # without a gradient to come, torch's autograd layer (15 to 30 microseconds a call) is left out
        learns = self.form == "train" and torch.is_grad_enabled()
        if learns and any(self.storages):
            raise OptionError(
                f"Rows of storage {self.method.storage} are codes, which have no gradient that a torch optimizer could "
                'use. Leave bank.gradient at "pairs" and call bank.step(), or train in float32 or bfloat16_trained.'
            )
        plain = offsets is None and weights is None and program is None and not learns
        if plain and is_eager(ids) and (kernels := kernels_for(ids)) is not None:
            return self.prepared()(kernels, ids)
        operation = torch.ops.pocketrec.lookup if learns else torch.ops.pocketrec.lookup_frozen
        found: Tensor = operation(
            self.regions(), ids, offsets, weights, self.program if program is None else program, self.maps(),
            self.storages, self.access.width, self.access.parts,
            int(self.access.combine), POOLING["none" if offsets is None else pool], sparse,
        )  # fmt: skip
        return found

    def rows_at(self, addresses: Tensor, *, sparse: bool = False) -> Tensor:
        """Units at addresses: float32 [n, unit] of int64 [n], zeros at null ones. Not of a shared array.

        Differentiable as :meth:`lookup` is.
        """
        learns = self.form == "train" and torch.is_grad_enabled()
        operation = torch.ops.pocketrec.lookup if learns else torch.ops.pocketrec.lookup_frozen
        found: Tensor = operation(
            self.regions(), _not_null(addresses), None, None, _AT_ADDRESSES, None, self.storages, self.unit, 1,
            int(Combine.copy), POOLING["none"], sparse,
        )  # fmt: skip
        return found[:, 0]

    def read_at(self, addresses: Tensor, *, sparse: bool = False) -> Tensor:
        """What a storage that rounds reads is asked with: :meth:`rows_at`, and each row's step behind it if it learns.

        float32 [n, unit] or [n, unit + 1]. By torch's own gradients steps are not learned.
        """
        rows = self.rows_at(addresses, sparse=sparse)
        return torch.cat([rows, steps_at(steps_of(self), addresses)], dim=1) if self._learned_step else rows

    def compact_rows(self, grad: Tensor, addresses: Tensor) -> Pairs:
        """Distinct addresses and summed gradients, given the gradient of :meth:`read_at`, or of :meth:`rows_at`."""
        rows = self._compact_at(grad[:, : self.unit], addresses, [r.detach() for r in self.regions()], self.storages)
        if grad.shape[1] == self.unit:
            return Pairs.with_squares(*rows)
        steps = [own[:, None] for own in steps_of(self)]
        pulls = self._compact_at(grad[:, self.unit :], addresses, steps, [0] * len(steps))
        return Pairs(rows[0], torch.cat([rows[1], pulls[1]], dim=1))

    def _compact_at(
        self, grad: Tensor, addresses: Tensor, regions: list[Tensor], storages: list[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        found: tuple[Tensor, Tensor, Tensor] = torch.ops.pocketrec.compact(
            grad[:, None], regions, _not_null(addresses), None, None, _AT_ADDRESSES, None, storages, grad.shape[1], 1,
            int(Combine.copy), POOLING["none"], None,
        )  # fmt: skip
        return found

    def widened(self, vectors: Tensor, tables: Tensor | None = None) -> Tensor:
        """Vectors of width `width` brought to the tables' dim.

        Args:
            vectors: float32 [batch, columns, width] or [values, width].
            tables: for [values, width]: int64 [values], which table of the group each value is of.
        """
        if self.access.widen is not None:
            matrix = self.tensor(self.access.widen)
            if tables is None:
                return torch.einsum("btw,twd->btd", vectors, matrix[self.places])
            return torch.einsum("vw,vwd->vd", vectors, matrix[tables])
        if self.access.width < self.dim:
            return nn.functional.pad(vectors, (0, self.dim - self.access.width))
        return vectors

    def compact(
        self, grad: Tensor, ids: Tensor, offsets: Tensor | None, weights: Tensor | None, pool: Pool,
        found: Tensor | None = None, program: Tensor | None = None,
    ) -> Pairs:  # fmt: skip
        """Distinct addresses and summed gradients of one lookup, given the gradient of its result.

        `found`: the addresses of its values, where it handed them back. `program`: in place of the group's own.
        """
        plain = offsets is None and weights is None and found is None and program is None
        if plain and is_eager(grad) and (kernels := kernels_for(ids)) is not None:
            return Pairs.with_squares(*self.prepared().compact(kernels, grad, ids))
        addresses, grads, squares = torch.ops.pocketrec.compact(
            grad, [r.detach() for r in self.regions()], ids, offsets, weights,
            self.program if program is None else program, self.maps(), self.storages, self.access.width,
            self.access.parts, int(self.access.combine), POOLING["none" if offsets is None else pool], found,
        )  # fmt: skip
        return Pairs.with_squares(addresses, grads, squares)

    def state(self) -> list[Tensor]:
        """The optimizer's tensors, in the order that the update op takes them."""
        return [self.tensor(spec.name) for spec in self.sizing.state]

    def update(
        self, pairs: Pairs, optimizer: OptimizerSpec, *, lr: float, step: int, seed: int = 0, batch: int = 1
    ) -> None:  # fmt: skip
        """Apply compact pairs. Rows and state that no address names are neither read nor written.

        Args:
            pairs: distinct addresses and their gradients.
            optimizer: algorithm and rates.
            lr: step size, in place of the optimizer's own.
            step: number of the step, from 1.
            seed: of the stochastic rounding of storages that are trained in fewer bits than float32.
            batch: data rows that the gradients are of, for scales that learn.
        """
        if pairs.grads.shape[1] > self.unit:
            update_on_steps(self, pairs, optimizer, lr=lr, step=step)
            return
        torch.ops.pocketrec.update(
            [r.detach() for r in self.regions()], state_of_weights(self), pairs.addresses, pairs.grads, optimizer.name,
            lr, optimizer.eps, optimizer.beta1, optimizer.beta2, optimizer.l2, step, seed,
            optimizer.scale_lr * (lr / optimizer.lr) if self.learns_scales else 0.0, batch,
        )  # fmt: skip

    def extra_repr(self) -> str:
        names = ", ".join(t.table.name for t in self.sizing.tables[:4])
        return f"{self.sizing.method}, {len(self.sizing.tables)} tables ({names} ...), {self.form}"


# The program of a lookup whose ids are addresses; null ones are padding.
_AT_ADDRESSES: Final = torch.tensor([Row(start=0, rows=2**61).program(column=0, padding=LEFT_OUT)])


def _not_null(addresses: Tensor) -> Tensor:
    return torch.where(addresses < 0, LEFT_OUT, addresses)[:, None]


def _refresh(group: nn.Module, _: object) -> None:
    """Seeds may have come with a state dict."""
    assert isinstance(group, Group)
    group.refresh()
