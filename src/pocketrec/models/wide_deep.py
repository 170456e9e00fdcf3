"""Wide & Deep: a weight per id and a net over all vectors, added up in one logit and trained together.

Paper: Cheng et al., Wide & Deep Learning for Recommender Systems, 2016, arXiv:1606.07792: equation (3); the deep part
is equation (2). The wide part has the raw features of equation (3); the cross products of equation (1), which the paper
picks by hand, are fields of the schema if you make them.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from pocketrec.compress import Bank
from pocketrec.compress.parts.init import generator
from pocketrec.models._config import ModelConfig
from pocketrec.models._model import Model
from pocketrec.models.parts.first_order import split_rows, vector_width
from pocketrec.models.parts.linear import linear
from pocketrec.models.parts.mlp import mlp

__all__ = ["MODEL", "WideDeep"]


@final
class WideDeep(Model):
    """The published model over vectors and dense numbers side by side, trained by the optimizers of the run.

    (The paper trains the wide part by FTRL.) The bias b of equation (3) is that of the net's last layer.
    """

    name = "wide_deep"

    def __init__(self, bank: Bank, *, dense_features: int, config: ModelConfig, seed: int) -> None:
        super().__init__(bank, dense_features=dense_features, config=config, seed=seed)
        draw, inputs = generator(seed), self.columns * vector_width(self.table_dim) + dense_features
        self.wide = linear(dense_features, 1, generator=draw, bias=False) if dense_features else None
        self.deep = mlp((inputs, *config.top, 1), last_relu=False, generator=draw)

    @classmethod
    def vector_dim(cls, dim: int) -> int:
        return dim + 1

    def forward(
        self, dense: Tensor, ids: Tensor, offsets: Tensor | None = None, weights: Tensor | None = None
    ) -> Tensor:
        vectors, logits = split_rows(self.bank(ids, offsets, weights))
        if self.wide is not None:
            logits = logits + self.wide(dense)[:, 0]
        deep: Tensor = self.deep(torch.cat([vectors.flatten(1), dense], dim=1), self.masks())
        return (logits + deep[:, 0]).float()


MODEL = WideDeep
