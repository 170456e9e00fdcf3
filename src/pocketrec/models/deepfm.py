"""DeepFM: a factorisation machine and a net over the same vectors, added up in one logit.

Paper: Guo et al., DeepFM: A Factorization-Machine based Neural Network for CTR Prediction, 2017, arXiv:1703.04247:
equation (1) is the sum, (2) the factorisation machine, (3) and (4) the deep net.

Vectors start small. The sum over n (n - 1) / 2 pairs goes into the logit as it is, with no net to scale it: with 39
fields on the Criteo sample and DLRM's starting values, it sets out far from any rate of clicks, and training spends its
epochs on the way back. So tables start within .01 (:attr:`DeepFm.table_init`) and dense vectors with deviation .03.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from pocketrec.compress import Bank
from pocketrec.compress.parts.init import generator
from pocketrec.models._config import ModelConfig
from pocketrec.models._model import Model
from pocketrec.models.parts.first_order import split_rows, vector_width
from pocketrec.models.parts.linear import linear, normal
from pocketrec.models.parts.mlp import mlp

__all__ = ["MODEL", "DeepFm", "pair_sum"]

# Validation AUC on the Criteo sample (50,000 rows train, 9,000 judge, min_count at 10x, the better of two epochs, mean
# of three seeds), dense vectors at .01, .03, .1 with tables within .01: .7350, .7374, .7274, the same order in every
# seed. Of the tables, with dense vectors at .01: within .01 .7350, within .03 .7351, DLRM's start .7279. Before: .6976.
_DENSE_DEVIATION = 0.03


@final
class DeepFm(Model):
    """The published model. A dense number x of field i counts as x V_i, with one vector V_i per dense field."""

    name = "deepfm"
    table_init = 0.01

    def __init__(self, bank: Bank, *, dense_features: int, config: ModelConfig, seed: int) -> None:
        super().__init__(bank, dense_features=dense_features, config=config, seed=seed)
        draw, dim = generator(seed), vector_width(self.table_dim)
        self.first_order, self.vectors = None, None
        if dense_features:
            self.first_order = linear(dense_features, 1, generator=draw, bias=False)
            self.vectors = nn.Parameter(normal(dense_features, dim, deviation=_DENSE_DEVIATION, generator=draw))
        inputs = (self.columns + dense_features) * dim
        self.deep = mlp((inputs, *config.top, 1), last_relu=False, generator=draw)

    @classmethod
    def vector_dim(cls, dim: int) -> int:
        return dim + 1

    def forward(
        self, dense: Tensor, ids: Tensor, offsets: Tensor | None = None, weights: Tensor | None = None
    ) -> Tensor:
        vectors, logits = split_rows(self.bank(ids, offsets, weights))
        if self.first_order is not None and self.vectors is not None:
            logits = logits + self.first_order(dense)[:, 0]
            vectors = torch.cat([vectors, dense[:, :, None] * self.vectors], dim=1)
        deep: Tensor = self.deep(vectors.flatten(1), self.masks())
        return (logits + pair_sum(vectors) + deep[:, 0]).float()


def pair_sum(vectors: Tensor) -> Tensor:
    """Sum of the dot products of all pairs of different vectors: [batch] from [batch, n, dim].

    In time linear in n, as Rendle, Factorization Machines, ICDM 2010, lemma 3.1:
    sum over i < j of <v_i, v_j> = 1/2 sum over d of ((sum over i of v_id)^2 - sum over i of v_id^2).
    """
    return 0.5 * (vectors.sum(dim=1).square() - vectors.square().sum(dim=1)).sum(dim=1)


MODEL = DeepFm
