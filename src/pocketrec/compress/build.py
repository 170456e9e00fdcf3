"""From a sizing to tensors: layout, allocate, initialise, attach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from pocketrec.compress.bank import Bank
from pocketrec.compress.group import Form, Group
from pocketrec.compress.holdings import Scratch
from pocketrec.compress.in_float32 import in_float32
from pocketrec.compress.method import of
from pocketrec.compress.parts.init import stream
from pocketrec.compress.plan import plan
from pocketrec.native.huge_pages import zeros
from pocketrec.spec.errors import ArtifactError, OptionError
from pocketrec.spec.sizing import GroupSizing, Sizing, TensorSpec
from pocketrec.spec.stage import Stage

__all__ = ["ALIGNMENT", "Placed", "attach", "begin_anew", "build", "layout", "restart", "settled", "stages"]

# Cache lines and AVX-512 loads: every tensor starts at a multiple of this.
ALIGNMENT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """One tensor of a layout.

    Attributes:
        name: "<group>.<tensor>", as :meth:`Bank.tensors` and files call it.
        spec: shape, dtype and role.
        offset_bytes: where it begins in one contiguous memory, a multiple of 64.
    """

    name: str
    spec: TensorSpec
    offset_bytes: int


def layout(sizing: Sizing, form: Form = "serve") -> tuple[Placed, ...]:
    """Name, shape, dtype and offset of every tensor, before any memory is taken.

    The sum of ``spec.nbytes`` over the serving layout is exactly ``sizing.serve_bytes``; over the training layout it
    is exactly ``sizing.train_bytes``. Padding between tensors is not counted in either.
    """
    placed, offset = [], 0
    for index, group in enumerate(sizing.groups):
        for spec in _specs(group, form):
            placed.append(Placed(name=f"{index}.{spec.name}", spec=spec, offset_bytes=offset))
            offset += -(-spec.nbytes // ALIGNMENT) * ALIGNMENT
    return tuple(placed)


def attach(
    sizing: Sizing, tensors: Mapping[str, Tensor], *, form: Form = "serve",
    padding: Mapping[str, int] | None = None, fields: Mapping[str, str] | None = None,
) -> Bank:  # fmt: skip
    """A bank over memory that it need not own: a read-only memory map, shared memory, another tenant's.

    Args:
        sizing: what the tensors are.
        tensors: by the names of :func:`layout`; wrong shapes, dtypes and missing names raise ArtifactError.
        form: which layout.
        padding: padding id by table name.
        fields: the bank's columns: each one's name and the table that it looks up, in place of ``sizing.order``. Fields
            may share a table; every table needs one. Features of a keyed input are found by these names.
    """
    if fields is not None:
        sizing = replace(sizing, order=tuple(fields.values()))
    parts: list[dict[str, Tensor]] = [{} for _ in sizing.groups]
    for place in layout(sizing, form):
        if place.name not in tensors:
            raise ArtifactError(
                f"Tensor {place.name!r} is missing; there are {len(tensors)}: {sorted(tensors)[:8]} ..."
            )
        parts[int(place.name.split(".", 1)[0])][place.spec.name] = tensors[place.name]
    bank = Bank(sizing, parts, form=form, padding=padding, fields=fields)
    if form == "train" and "steps" in tensors:
        bank.steps.copy_(tensors["steps"])
    return bank


def build(
    sizing: Sizing, *, seed: int, data: Mapping[str, Any] | None = None, previous: Bank | None = None,
    padding: Mapping[str, int] | None = None, fields: Mapping[str, str] | None = None,
    device: str | torch.device = "cpu",
) -> Bank:  # fmt: skip
    """Allocate, initialise and attach the training form.

    Args:
        sizing: what to build.
        seed: equal seeds give equal values.
        data: what methods may need (counts per table, value sets ...).
        previous: the bank of the stage before, or yesterday's: its values are taken over.
        padding: padding id by table name.
        fields: the bank's columns: each one's name and the table that it looks up, in place of ``sizing.order``. Fields
            may share a table; every table needs one. See :func:`attach`.
        device: ``meta`` builds a bank without memory.
    """
    made = {p.name: zeros(p.spec.shape, getattr(torch, p.spec.dtype), device) for p in layout(sizing, "train")}
    bank = attach(sizing, made, form="train", padding=padding, fields=fields)
    if str(device) != "meta":
        _initialise(bank, seed, data, previous)
    return bank


@torch.no_grad()
def restart(bank: Bank, *, seed: int, data: Mapping[str, Any] | None = None, previous: Bank | None = None) -> None:
    """Let the rows of a bank in training begin anew in the memory that they have, as :func:`build` would.

    They forget what they learned, and their optimizer's state. Matrices that train with the dense nets stay, and so
    does what an earlier stage decided.

    Args:
        bank: in its training form.
        seed: equal seeds give equal values.
        data: what methods may need.
        previous: as for :func:`build`.
    """
    trained = [(matrix, matrix.clone()) for matrix in bank.matrices()]
    decided = [(tensor, tensor.clone()) for group in bank.groups for tensor in _decided(group)]
    bank.discard()
    for tensor in bank.tensors().values():
        tensor.zero_()
    for tensor, values in decided:  # which a method may look at
        tensor.copy_(values)
    _initialise(bank, seed, data, previous)
    for tensor, values in (*trained, *decided):
        tensor.copy_(values)


@torch.no_grad()
def begin_anew(
    bank: Bank, *, seed: int, data: Mapping[str, Any] | None = None, previous: Bank | None = None
) -> None:  # fmt: skip
    """Let tables whose methods settled begin as they were built, in the form that was settled on.

    Weights, matrices and the optimizer's state of these begin anew; which rows are whose (maps, seeds), and what the
    search decided, stays. All others go on.

    Args:
        bank: in its training form, behind the search.
        seed: equal seeds give equal values.
        data: what methods may need.
        previous: as for :func:`build`, for the tables that begin anew.
    """
    bank.discard()
    settling, _ = _by_settling(bank)
    for index, group in enumerate(bank.groups):
        if group not in settling:
            continue
        assert isinstance(group, Group)
        fixed = [group.tensor(spec.name) for spec in group.specs() if spec.role == "fixed"]
        stay = [(tensor, tensor.clone()) for tensor in (*fixed, *_decided(group))]
        for tensor in group.tensors().values():
            tensor.zero_()
        for tensor, values in stay:  # which a method may look at
            tensor.copy_(values)
        _start(group, stream(seed, index), data)
        for tensor, values in stay:
            tensor.copy_(values)
        group.refresh()
    for new, old in [] if previous is None else _successors(bank, previous):
        if new in settling:
            new.method.warm(new, old)
            new.refresh()


def _decided(group: Any) -> list[Tensor]:
    """What earlier stages decided for a group."""
    assert isinstance(group, Group)
    held = group.method.holdings(group.sizing.tables, group.sizing.settings)
    return [group.tensor(h.name) for h in held if isinstance(h, Scratch) and h.stays]


def _initialise(bank: Bank, seed: int, data: Mapping[str, Any] | None, previous: Bank | None) -> None:
    """Give starting values to tensors that are zero."""
    for index, group in enumerate(bank.groups):
        assert isinstance(group, Group)
        _start(group, stream(seed, index), data)
    if previous is not None:
        _warm(bank, previous)


def _start(group: Group, seed: int, data: Mapping[str, Any] | None) -> None:
    with torch.no_grad(), in_float32(group) as plain:
        group.method.initialise(plain, seed=seed, data=data)
    group.refresh()


def stages(sizing: Sizing) -> tuple[tuple[Stage, Sizing], ...]:
    """The stages of training of a whole sizing. Groups with fewer stages stay in their last one.

    What a method that settles holds after its search is a ceiling in bytes here; :func:`settled` says it exactly.
    """
    return tuple(
        (stage, replace(sizing, groups=groups)) for stage, groups in plan(sizing.groups, sizing.optimizer)
    )  # fmt: skip


def settled(bank: Bank, planned: Sizing, *, ends: bool = False) -> Sizing:
    """What is held from now on, with the choices of methods that settle.

    Args:
        bank: at the end of a stage, in its training form.
        planned: what :func:`stages` says of the next stage. A search that is planned to go on, in the group that it is
            held in, has no choice made yet.
        ends: whether there is no next stage, so that a search that is not over is ended.
    """
    parted, _ = _by_settling(bank)
    going_on = () if ends else planned.groups
    with torch.no_grad():
        chosen = [
            held
            for group in parted
            for held in (
                (group.sizing,) if group.sizing in going_on else group.method.settled(group, planned.optimizer)
            )
        ]
    if not chosen:
        return planned
    groups: list[GroupSizing] = []
    for _, run in groupby(planned.groups, key=lambda group: (group.method, group.options, group.joins)):
        alike = list(run)
        if not of(alike[0].method, alike[0].options).traits.settles:
            groups += alike
            continue
        names = {t.table.name for held in alike for t in held.tables}
        # in the order of the bank, so that what was chosen stays as it is from stage to stage
        groups += [held for held in chosen if held.tables[0].table.name in names] or alike
    return replace(planned, groups=tuple(groups))


def _warm(bank: Bank, previous: Bank) -> None:
    for new, old in _successors(bank, previous):
        if new.learns_scales != old.learns_scales:
            raise OptionError(
                f"Rows of storage {new.method.storage} cannot be taken over from rows of {old.method.storage}: one has "
                "scales that learn, the other scales that are fitted. Keep the storage of the model that you continue."
            )
        with torch.no_grad():
            new.method.warm(new, old)
        new.refresh()
    bank.steps.copy_(previous.steps)


def _successors(bank: Bank, previous: Bank) -> list[tuple[Group, Group]]:
    """Each group with the one before that it takes its values from: that of its place, or of its tables if it settles.

    Raises:
        OptionError: there is none for some group.
    """
    (parted, others), (searched, before) = _by_settling(bank), _by_settling(previous)
    if len(others) != len(before):
        raise OptionError(
            f"A bank of {len(others)} groups cannot go on from one of {len(before)}. "
            "Keep the sizing of the model that you continue."
        )
    named = [(group, _holder(searched, group.sizing.tables[0].table.name)) for group in parted]
    return [*zip(others, before, strict=True), *named]


def _holder(groups: Sequence[Group], table: str) -> Group:
    """The one of these groups that holds the table."""
    for group in groups:
        if any(t.table.name == table for t in group.sizing.tables):
            return group
    raise OptionError(
        f"Table {table!r} is not held by a method that settles in the bank that is continued. "
        "Keep the sizing of the model that you continue."
    )


def _by_settling(bank: Bank) -> tuple[list[Group], list[Group]]:
    """Groups whose methods settle, and all others."""
    parted: list[Group] = []
    others: list[Group] = []
    for group in bank.groups:
        assert isinstance(group, Group)
        (parted if group.method.traits.settles else others).append(group)
    return parted, others


def _specs(group: GroupSizing, form: Form) -> tuple[TensorSpec, ...]:
    return group.serve if form == "serve" else (*group.train, *group.state)
