"""The optimizer of the dense nets, and its state as named tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from pocketrec.train.config import TrainConfig

__all__ = ["dense_optimizer", "load_optimizer_tensors", "optimizer_tensors"]


def dense_optimizer(parameters: Iterable[nn.Parameter], config: TrainConfig) -> torch.optim.Optimizer:
    """The optimizer that the configuration names, one pass over all parameters per step where torch has one."""
    listed = list(parameters)
    if config.dense_optimizer == "adam":
        return torch.optim.Adam(listed, lr=config.dense_lr, fused=True)
    if config.dense_optimizer == "adagrad":
        return torch.optim.Adagrad(listed, lr=config.dense_lr, fused=True)
    return torch.optim.SGD(listed, lr=config.dense_lr, fused=True)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Its state as tensors named "<parameter>.<quantity>"."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{name}": value for index, entry in state.items() for name, value in entry.items()}


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """The inverse of :func:`optimizer_tensors`; the tensors are copied."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, quantity = name.split(".", 1)
        state.setdefault(int(index), {})[quantity] = value.clone()
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
