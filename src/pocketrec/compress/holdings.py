"""What a method holds, in its own words, before a storage turned it into tensors.

A method says "a table of so many rows" or "a shared array of so many weights"; the storage decides shape and dtype of
the serving form, and the training form follows from what the storage is trained as. So a method works under every
storage without knowing any of them, and bytes are counted in one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pocketrec.compress.storage import STORAGES, Storage
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import Role, TensorSpec

__all__ = [
    "Array",
    "Fixed",
    "Holding",
    "Matrix",
    "Rows",
    "Scratch",
    "Served",
    "is_served",
    "is_trained",
    "serve_tensors",
    "state_tensors",
    "train_tensors",
    "trained_storage",
]


@dataclass(frozen=True, slots=True)
class Rows:
    """A table of rows x width weights, looked up and updated by the row.

    With `served` False only training has it, and :meth:`pocketrec.compress.method.Method.frozen` makes something else
    of it.
    """

    name: str
    rows: int
    width: int
    served: bool = True


@dataclass(frozen=True, slots=True)
class Array:
    """One flat array of weights, looked up in blocks and updated by the weight.

    With `trained` False only serving has it: :meth:`pocketrec.compress.method.Method.frozen` makes it.
    """

    name: str
    weights: int
    trained: bool = True


@dataclass(frozen=True, slots=True)
class Matrix:
    """A small float32 tensor that every lookup uses whole, trained with the dense nets.

    With `served` False only training has it, and :meth:`pocketrec.compress.method.Method.frozen` makes something else
    of it.
    """

    name: str
    shape: tuple[int, ...]
    served: bool = True


@dataclass(frozen=True, slots=True)
class Fixed:
    """What serving needs besides weights and nothing trains by gradient: seeds, maps."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class Scratch:
    """What only training needs: scores, sketches, free lists.

    With `stays` True it says what an earlier stage decided (a mask), and stays as it is where rows begin anew.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    stays: bool = False


@dataclass(frozen=True, slots=True)
class Served:
    """What only serving needs, made when the training form is frozen: the tags of hot ids, where training has a sketch.

    :meth:`pocketrec.compress.method.Method.frozen` makes it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str


Holding = Rows | Array | Matrix | Fixed | Scratch | Served


def serve_tensors(holdings: Sequence[Holding], storage: str) -> tuple[TensorSpec, ...]:
    """The tensors of the serving form."""
    kept = STORAGES.get(storage)
    return tuple(_serve(h, kept) for h in holdings if is_served(h))


def train_tensors(holdings: Sequence[Holding], storage: str) -> tuple[TensorSpec, ...]:
    """The tensors of the training form: weights as the storage is trained."""
    return tuple(_serve(h, trained_storage(h, storage)) for h in holdings if is_trained(h))


def is_served(holding: Holding) -> bool:
    """Whether the serving form has it."""
    return holding.served if isinstance(holding, (Rows, Matrix)) else not isinstance(holding, Scratch)


def is_trained(holding: Holding) -> bool:
    """Whether the training form has it."""
    return holding.trained if isinstance(holding, Array) else not isinstance(holding, Served)


def trained_storage(holding: Holding, storage: str) -> Storage:
    """How this holding is kept while it is trained for a storage."""
    kept = STORAGES.get(storage)
    if isinstance(holding, Array) and kept.array_trained_as is not None:
        return STORAGES.get(kept.array_trained_as)
    return STORAGES.get(kept.trained_as)


def state_tensors(holdings: Sequence[Holding], optimizer: OptimizerSpec, storage: str) -> tuple[TensorSpec, ...]:
    """The optimizer's state for all rows and arrays: float32, grouped by kind of state, then by holding.

    Row-wise Adagrad keeps one number per unit: a row of a table, a weight of an array. Where scales of rows learn, each
    has state of its own, behind all else; arrays, which have none, have empty tensors there. Where steps of rows learn
    that are rounded when read, these stand there themselves, 0 until they have moved.
    """
    touched = [h for h in holdings if isinstance(h, (Rows, Array)) and is_trained(h)]
    found, kept = _state_of_weights(touched, optimizer), STORAGES.get(storage)
    if kept.learns_steps:
        return (*found, *(_state(f"{h.name}.step", (h.rows,)) for h in touched if isinstance(h, Rows)))
    if not kept.learns_scales:
        return found
    kinds = {"sgd": (), "rowwise_adagrad": ("sum",), "adagrad": ("sum",), "adam": ("first", "second")}[optimizer.name]
    scales = [(h.name, h.rows if isinstance(h, Rows) else 0) for h in touched]
    return (*found, *(_state(f"{name}.scale_{kind}", (rows,)) for kind in kinds for name, rows in scales))


def _state_of_weights(touched: Sequence[Rows | Array], optimizer: OptimizerSpec) -> tuple[TensorSpec, ...]:
    if optimizer.name == "rowwise_adagrad":
        return tuple(_state(f"{h.name}.sum", (h.rows if isinstance(h, Rows) else h.weights,)) for h in touched)
    if optimizer.name == "adagrad":
        return tuple(_state(f"{h.name}.sum", _full_shape(h)) for h in touched)
    if optimizer.name == "adam":
        return tuple(_state(f"{h.name}.{moment}", _full_shape(h)) for moment in ("first", "second") for h in touched)
    return ()


def _serve(holding: Holding, storage: Storage) -> TensorSpec:
    if isinstance(holding, Rows):
        shape = storage.rows_shape(holding.rows, holding.width)
        return TensorSpec(name=holding.name, shape=shape, dtype=storage.dtype, role="weights")
    if isinstance(holding, Array):
        return TensorSpec(
            name=holding.name, shape=storage.array_shape(holding.weights), dtype=storage.dtype, role="weights"
        )
    if isinstance(holding, Matrix):
        return TensorSpec(name=holding.name, shape=holding.shape, dtype="float32", role="matrix")
    role: Role = "training" if isinstance(holding, Scratch) else "fixed"
    return TensorSpec(name=holding.name, shape=holding.shape, dtype=holding.dtype, role=role)


def _full_shape(holding: Rows | Array) -> tuple[int, ...]:
    return (holding.rows, holding.width) if isinstance(holding, Rows) else (holding.weights,)


def _state(name: str, shape: tuple[int, ...]) -> TensorSpec:
    return TensorSpec(name=name, shape=shape, dtype="float32", role="training")
