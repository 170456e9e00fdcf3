"""From the training form to the serving form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from pocketrec.compress.bank import Bank
from pocketrec.compress.build import attach, build, settled
from pocketrec.compress.group import Group
from pocketrec.compress.holdings import Array, Rows, is_served, is_trained, trained_storage
from pocketrec.compress.learned_steps import STEP, learned_step_of
from pocketrec.compress.storage import STORAGES, Storage
from pocketrec.native.huge_pages import copied, empty

__all__ = ["encoded", "freeze"]

# Rows that are converted at a time, so that freezing needs no second copy of a large table in float32.
_CHUNK_ROWS = 65_536


def freeze(bank: Bank) -> Bank:
    """The serving form of a trained bank: exactly the promised tensors, converted to their storage.

    The training bank is left as it is; tensors that need no conversion are copied, so the two share nothing. Ask the
    serving bank which ids it takes (:meth:`Bank.id_spaces`): some methods serve other ones than they train.
    """
    assert bank.form == "train", "a serving bank is frozen already"
    decided = settled(bank, bank.sizing, ends=True)
    if decided != bank.sizing:  # a search that nobody ended
        bank = build(decided, seed=0, previous=bank, padding=bank.padding, fields=bank.fields)
    groups, tensors = [], {}
    for index, group in enumerate(bank.groups):
        assert isinstance(group, Group)
        with torch.no_grad():
            frozen, held = group.method.frozen(group)
        groups.append(frozen)
        tensors.update({f"{index}.{name}": tensor for name, tensor in held.items()})
    sizing = replace(bank.sizing, groups=tuple(groups))
    served = attach(sizing, tensors, form="serve", padding=bank.padding, fields=bank.fields).eval()
    assert served.held_bytes() == sizing.serve_bytes, f"{served.held_bytes()} held, {sizing.serve_bytes} promised"
    return served


def encoded(group: Group, made: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The group's serving tensors: weights encoded in the method's storage, matrices and fixed tensors copied.

    Args:
        group: training form.
        made: tensors to take in place of the group's own, by name: weights as they are trained (rows in another order,
            and their steps where these learn), and what only the serving form has, weights in float32.
    """
    storage, settings, made = STORAGES.get(group.method.storage), group.sizing, made or {}
    found: dict[str, Tensor] = {}
    for holding in group.method.holdings(settings.tables, settings.settings):
        if not is_served(holding):
            continue
        own = made[holding.name] if holding.name in made else group.tensor(holding.name).detach()
        learned = learned_step_of(group.rounds) if isinstance(holding, Rows) else None
        if learned is not None:
            steps = made.get(holding.name + STEP, group.tensor(holding.name + STEP).detach())
            found[holding.name] = _encode_rows(own, storage, steps[:, None])
        else:
            found[holding.name] = _encoded(own, holding, storage) if isinstance(holding, (Rows, Array)) else copied(own)
    return found


def _encoded(weights: Tensor, holding: Rows | Array, storage: Storage) -> Tensor:
    if is_trained(holding) and trained_storage(holding, storage.name) is storage:
        return copied(weights)
    return _encode_rows(weights, storage) if isinstance(holding, Rows) else copied(storage.encode_array(weights))


def _encode_rows(rows: Tensor, storage: Storage, steps: Tensor | None = None) -> Tensor:
    """Rows float32 in the storage, on steps float32 [rows, 1] that were learned, or as it fits them itself."""
    shape = storage.rows_shape(rows.shape[0], rows.shape[1])
    target = empty(shape, getattr(torch, storage.dtype))
    for start in range(0, rows.shape[0], _CHUNK_ROWS):
        part, learned = slice(start, start + _CHUNK_ROWS), learned_step_of(storage)
        if learned is None or steps is None:
            target[part] = storage.encode(rows[part])
        else:
            target[part] = learned.encode_on(rows[part], steps[part])
    return target
