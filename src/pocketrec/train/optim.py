"""The optimizer of the dense nets, and its state as named tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from pocketrec.spec.errors import OptionError
from pocketrec.train.config import TrainConfig

__all__ = ["dense_optimizer", "load_optimizer_tensors", "optimizer_tensors"]

# what torch keeps per parameter
_QUANTITIES: dict[type[torch.optim.Optimizer], set[str]] = {
    torch.optim.Adam: {"step", "exp_avg", "exp_avg_sq"},
    torch.optim.Adagrad: {"step", "sum"},
    torch.optim.SGD: set(),
}


def dense_optimizer(parameters: Iterable[nn.Parameter], config: TrainConfig) -> torch.optim.Optimizer:
    """The optimizer that the configuration names, one pass over all parameters per step."""
    listed = list(parameters)
    if config.dense_optimizer == "adam":
        return torch.optim.Adam(listed, lr=config.dense_lr, fused=True)
    if config.dense_optimizer == "adagrad":
        return torch.optim.Adagrad(listed, lr=config.dense_lr, fused=True)
    return torch.optim.SGD(listed, lr=config.dense_lr, fused=True)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Its state as tensors named "<number of the parameter>.<quantity>", sharing memory."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": value
        for index, entry in state.items()
        for name, value in entry.items()
        if isinstance(value, Tensor)  # SGD without momentum notes a None
    }


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """The inverse of :func:`optimizer_tensors`; the tensors are copied.

    Raises:
        OptionError: they are of another kind of optimizer, or of parameters of other shapes. Nothing was changed.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, _, quantity = name.partition(".")
        if not index.isdecimal() or not quantity:
            raise OptionError(f"{name!r} names no state of a dense optimizer; expected '<parameter>.<quantity>'.")
        state.setdefault(int(index), {})[quantity] = value.clone()
    _check(optimizer, state)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _check(optimizer: torch.optim.Optimizer, state: Mapping[int, Mapping[str, Tensor]]) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    kind, wanted = type(optimizer).__name__, _QUANTITIES[type(optimizer)]
    for index, entry in state.items():
        if set(entry) != wanted:
            raise OptionError(
                f"The state of the dense optimizer holds {sorted(entry)}, {kind} needs {sorted(wanted)}. "
                "Keep dense_optimizer as it was."
            )
        if index >= len(parameters):
            raise OptionError(
                f"The state of the dense optimizer is of parameter {index}, and there are {len(parameters)}. "
                "Keep the model as it was."
            )
        shape = parameters[index].shape
        for name, value in entry.items():
            if value.dim() and value.shape != shape:
                raise OptionError(
                    f"The dense optimizer's {name!r} of parameter {index} is {list(value.shape)}, the parameter "
                    f"{list(shape)}. Keep the model as it was."
                )
