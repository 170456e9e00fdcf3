"""Let methods fill and read weights as float32, whatever they are trained in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from torch import Tensor

from pocketrec.compress.group import Group
from pocketrec.compress.holdings import Array, Rows, is_served, is_trained, train_tensors, trained_storage
from pocketrec.compress.storage import STORAGES

__all__ = ["float32_weights", "in_float32"]

# Rows that are encoded at a time: what encoding holds besides is no third copy of the table.
_CHUNK_ROWS = 65_536


@contextmanager
def in_float32(group: Group) -> Iterator[Group]:
    """Yield the group as methods fill it: its weights in float32, whatever they are trained in.

    At the end what was written is encoded into the group's own tensors, rounded to nearest. All other tensors are
    shared. A group that is trained in float32 is yielded itself; for others a float32 copy of the weights is in memory
    meanwhile.
    """
    own = [h for h in _weights(group) if trained_storage(h, group.method.storage).name != "float32"]
    if not own:
        yield group
        return
    sizing, tensors = group.sizing, group.tensors()
    for holding in own:
        tensors[holding.name] = float32_weights(group, holding.name)
    plain = replace(
        sizing,
        options={**sizing.options, "storage": "float32"},
        train=train_tensors(group.method.holdings(sizing.tables, sizing.settings), "float32"),
    )
    yield Group(plain, tensors, form="train", columns=group.columns, places=group.places, padding=group.padding)
    for holding in own:
        _encode(tensors[holding.name], group, holding)


def float32_weights(group: Group, name: str) -> Tensor:
    """The weights of this name as float32 [rows, width] or [weights]; the tensor itself where it is float32."""
    (holding,) = (h for h in _weights(group) if h.name == name)
    stored = group.tensor(name).detach()
    storage = STORAGES.get(group.method.storage)
    if group.form == "train":
        storage = trained_storage(holding, group.method.storage)
    if storage.name == "float32":
        return stored
    if isinstance(holding, Rows):
        return storage.decode(stored, holding.width)
    return storage.decode_array(stored, holding.weights)


def _weights(group: Group) -> list[Rows | Array]:
    held = group.method.holdings(group.sizing.tables, group.sizing.settings)
    here = is_trained if group.form == "train" else is_served
    return [h for h in held if isinstance(h, (Rows, Array)) and here(h)]


def _encode(weights: Tensor, group: Group, holding: Rows | Array) -> None:
    storage, target = trained_storage(holding, group.method.storage), group.tensor(holding.name).detach()
    if isinstance(holding, Array):
        target.copy_(storage.encode_array(weights))
        return
    for start in range(0, holding.rows, _CHUNK_ROWS):
        target[start : start + _CHUNK_ROWS] = storage.encode(weights[start : start + _CHUNK_ROWS])
