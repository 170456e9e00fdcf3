"""DLRM: a net over the dense numbers, all pairwise dot products of vectors, a net over both.

Paper: Naumov et al., Deep Learning Recommendation Model for Personalization and Recommendation Systems, 2019,
arXiv:1906.00091, figure 1.
"""

from __future__ import annotations

from typing import final

from torch import Tensor

from pocketrec.compress import Bank
from pocketrec.compress.parts.init import generator
from pocketrec.models._config import ModelConfig
from pocketrec.models._model import Model
from pocketrec.models.parts.mlp import mlp
from pocketrec.native.interact import interact, plain_interact

__all__ = ["MODEL", "Dlrm"]


@final
class Dlrm(Model):
    """The published model. Without dense numbers the bottom net is left out."""

    name = "dlrm"

    def __init__(self, bank: Bank, *, dense_features: int, config: ModelConfig, seed: int) -> None:
        super().__init__(bank, dense_features=dense_features, config=config, seed=seed)
        draw, dim = generator(seed), self.table_dim
        self.bottom = None
        if dense_features:
            self.bottom = mlp((dense_features, *config.bottom, dim), last_relu=True, generator=draw)
        vectors = self.columns + (1 if dense_features else 0)
        inputs = vectors * (vectors - 1) // 2 + (dim if dense_features else 0)
        self.top = mlp((inputs, *config.top, 1), last_relu=False, generator=draw)

    def forward(
        self, dense: Tensor, ids: Tensor, offsets: Tensor | None = None, weights: Tensor | None = None
    ) -> Tensor:
        low = None if self.bottom is None else self.bottom(dense)
        together = (plain_interact if self.plain else interact)(low, self.bank(ids, offsets, weights))
        found: Tensor = self.top(together, self.masks())
        return found[:, 0].float()


MODEL = Dlrm
