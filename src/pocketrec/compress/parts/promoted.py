"""What an id takes along when it gets a row of its own: the vector that it read so far, and the optimizer's state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pocketrec.compress.access import Combine

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group
    from pocketrec.spec.sizing import TensorSpec

__all__ = ["read_rest", "write_rows"]


def read_rest(group: Group, ids: Tensor, tables: Tensor) -> tuple[Tensor, list[Tensor]]:
    """What some ids without rows of their own in a group read.

    Args:
        group: training form; ``group.rest`` and those behind it are read, and the group itself where it has vectors
            that are added.
        ids: int64 [n], in the ids of the group's tables; no padding among them.
        tables: int64 [n], which table of the group each is of.

    Returns:
        float32 [n, dim], the vectors as the bank gives them; and for each kind of state that the optimizer keeps, what
        it has for the row that an id reads behind `group`: float32 [n] or [n, dim]. It is 0 where an id reads no row of
        `dim` numbers there (blocks, products of rows, narrow rows).
    """
    import torch

    from pocketrec.compress.computed import vectors_of_values  # here, not above: sizing answers without torch
    from pocketrec.compress.joined import LEFT_OUT

    order = tables.argsort(stable=True)
    asked, of_table = ids[order], tables[order]
    places, counts = torch.unique_consecutive(of_table, return_counts=True)
    offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    vectors = torch.zeros(len(ids), group.dim)
    shapes = {_kind(spec): spec.shape[1:] for spec in group.sizing.state}
    kinds, states = list(shapes), [torch.zeros(len(ids), *shape) for shape in shapes.values()]
    part = group.rest if group.access.adds_from is None else group
    while part is not None:
        program = torch.cat([part.program_of(place) for place in places.tolist()])
        vectors += vectors_of_values(part, asked, offsets, of_table, program)
        addresses = part.addresses(asked, offsets, program=program)[:, 0]
        if part is not group and _has_rows(part):
            _read_state(part, addresses, kinds, states)
        asked = torch.where(part.access.hiding(addresses) >= 0, LEFT_OUT, asked)
        part = part.rest
    back = order.argsort()
    return vectors[back], [state[back] for state in states]


def _has_rows(part: Group) -> bool:
    """Whether an address is that of a row which is the vector."""
    access = part.access
    return access.combine is Combine.copy and part.is_whole


def _kind(spec: TensorSpec) -> str:
    """Which state of its rows a tensor is: what stands behind their name."""
    return spec.name.rpartition(".")[2]


def _read_state(part: Group, addresses: Tensor, kinds: list[str], states: list[Tensor]) -> None:
    """Put the state of rows into `states`, one tensor per kind; null addresses, and what `part` lacks, are left out."""
    for kind, state in zip(kinds, states, strict=True):
        first = 0
        for own in [part.tensor(spec.name) for spec in part.sizing.state if _kind(spec) == kind]:
            rows = addresses - first
            inside = (rows >= 0) & (rows < len(own))
            state[inside] = own[rows[inside]]
            first += len(own)


def write_rows(group: Group, name: str, rows: Tensor, vectors: Tensor, states: list[Tensor]) -> None:
    """Write vectors float32 [n, dim] and state into rows int [n] of the tensor `name`, in place.

    In a storage that is trained in fewer bits than float32 vectors are rounded to nearest. `states` may be empty: then
    the state begins at 0.
    """
    rows = rows.long()
    group.tensor(name).data[rows] = group.kept[name].encode(vectors)
    own = [group.tensor(spec.name) for spec in group.sizing.state if spec.name.startswith(f"{name}.")]
    for number, tensor in enumerate(own):
        tensor[rows] = states[number] if states else 0
