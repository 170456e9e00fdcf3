"""WarmStart: what an earlier training left, to go on from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from pocketrec.compress import Bank

__all__ = ["WarmStart"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WarmStart:
    """Yesterday's model in its training form.

    Attributes:
        bank: tables, with the state of their optimizer.
        nets: parameters outside the bank, by name.
        optimizer: state of the dense optimizer, as named tensors.
    """

    bank: Bank
    nets: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
