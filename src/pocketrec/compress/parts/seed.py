"""The seed of a method's hashes: eight bytes that are part of what is served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pocketrec.compress.holdings import Fixed

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.group import Group

__all__ = ["SEED", "read_seed", "write_seed"]


@dataclass(frozen=True, slots=True)
class _Seed:
    holding: Fixed = Fixed("seed", (1,), "int64")  # noqa: RUF009  a frozen value, shared on purpose
    nbytes: int = 8


SEED = _Seed()


def write_seed(group: Group, seed: int) -> None:
    """Put the seed, 0 <= seed < 2^63, into its tensor."""
    group.tensor("seed").data.fill_(seed)


def read_seed(tensors: Mapping[str, Tensor]) -> int:
    """The seed from its tensor; 0 where there is no memory (meta)."""
    tensor = tensors["seed"]
    return 0 if tensor.device.type == "meta" else int(tensor[0])
