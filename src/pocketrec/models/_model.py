"""Model: the contract of a click model over a bank."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Self

from torch import Tensor, nn

from pocketrec.compress import Bank

__all__ = ["Model", "ModelConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Which model, and how wide its nets are.

    Attributes:
        name: a file of ``models``.
        bottom: widths of the net over the dense numbers; the tables' dim is added as its last.
        top: widths of the net that ends in the logit; 1 is added as its last.
    """

    name: str = "dlrm"
    bottom: tuple[int, ...] = (512, 256, 64)
    top: tuple[int, ...] = (512, 256)


class Model(nn.Module, ABC):
    """Logits from dense numbers and ids.

    Args:
        bank: the tables; whatever is inside.
        dense_features: dense numbers per row.
        config: widths.
        seed: of the nets' starting values.
    """

    name: ClassVar[str]
    bank: Bank

    def __init__(self, bank: Bank, *, dense_features: int, config: ModelConfig, seed: int) -> None:
        super().__init__()
        self.dense_features, self.config = dense_features, config
        self.bank = bank

    @classmethod
    def vector_dim(cls, dim: int) -> int:
        """Numbers per row that the model asks of its tables when embeddings have `dim`.

        A model with first-order weights asks for one more: the weight of an id stands last in the id's own row, so it
        is compressed, counted and looked up with it.
        """
        return dim

    @abstractmethod
    def forward(
        self, dense: Tensor, ids: Tensor, offsets: Tensor | None = None, weights: Tensor | None = None
    ) -> Tensor:
        """Logits, float32 [batch].

        Args:
            dense: float32 [batch, dense_features].
            ids: int64 [batch, columns]; or int64 [values] with `offsets`.
            offsets: int64 [columns x batch + 1], where each bag begins, as the bank takes them; or None.
            weights: float32 [values], factors of a bag's values; or None.
        """

    def nets(self) -> dict[str, Tensor]:
        """Parameters and buffers outside the bank by name: their number must not grow with rows."""
        return {name: t for name, t in self.state_dict(keep_vars=True).items() if not name.startswith("bank.")}

    def dense_parameters(self) -> list[nn.Parameter]:
        """What the dense optimizer trains: the nets, and the bank's small matrices."""
        own = [p for name, p in self.named_parameters() if not name.startswith("bank.")]
        return own + self.bank.matrices()

    def dense_bytes(self) -> int:
        """Bytes of everything outside the bank."""
        return sum(t.numel() * t.element_size() for t in self.nets().values())

    def with_bank(self, bank: Bank) -> Self:
        """The same nets (shared, not copied) over another bank with the same tables."""
        other = copy.copy(self)
        other._modules = dict(self._modules)
        other.bank = bank
        return other
