"""DLRM: a net over the dense numbers, all pairwise dot products of vectors, a net over both.

Paper: Naumov et al., Deep Learning Recommendation Model for Personalization and Recommendation Systems, 2019,
arXiv:1906.00091, figure 1.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from pocketrec.compress import Bank
from pocketrec.compress.parts.init import generator
from pocketrec.models._config import ModelConfig
from pocketrec.models._model import Model
from pocketrec.models.parts.masks import Masks
from pocketrec.models.parts.mlp import mlp

__all__ = ["MODEL", "Dlrm"]


@final
class Dlrm(Model):
    """The published model. Without dense numbers the bottom net is left out."""

    name = "dlrm"
    pairs: Tensor

    def __init__(self, bank: Bank, *, dense_features: int, config: ModelConfig, seed: int) -> None:
        super().__init__(bank, dense_features=dense_features, config=config, seed=seed)
        draw, dim = generator(seed), self.table_dim
        self.bottom = None
        if dense_features:
            self.bottom = mlp((dense_features, *config.bottom, dim), last_relu=True, generator=draw)
        vectors = self.columns + (1 if dense_features else 0)
        # positions of the strict lower triangle in the flattened [vectors, vectors] products
        row, column = torch.tril_indices(vectors, vectors, -1)
        self.register_buffer("pairs", row * vectors + column, persistent=False)
        inputs = len(row) + (dim if dense_features else 0)
        self.top = mlp((inputs, *config.top, 1), last_relu=False, generator=draw)

    def forward(
        self, dense: Tensor, ids: Tensor, offsets: Tensor | None = None, weights: Tensor | None = None
    ) -> Tensor:
        vectors, masks = self.bank(ids, offsets, weights), self.masks()
        if self.bottom is None:
            return self._logits(self._products(vectors), masks)
        low = self.bottom(dense)
        products = self._products(torch.cat([low[:, None], vectors.to(low.dtype)], dim=1))
        return self._logits(torch.cat([low, products], dim=1), masks)

    def _logits(self, inputs: Tensor, masks: Masks | None) -> Tensor:
        found: Tensor = self.top(inputs, masks)
        return found[:, 0].float()

    def _products(self, vectors: Tensor) -> Tensor:
        """Dot products of all pairs: [batch, n (n - 1) / 2] from [batch, n, dim]."""
        together = torch.bmm(vectors, vectors.transpose(1, 2))
        return together.flatten(1).index_select(1, self.pairs)


MODEL = Dlrm
