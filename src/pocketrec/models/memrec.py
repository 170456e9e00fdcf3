"""MEM-REC: a net over the dense numbers, all ids of a row in one vector, a net over both. No pairwise interaction.

Paper: MEM-REC, Memory Efficient Recommendation System using Alternative Representation, ACML 2023, arXiv:2305.07205,
as its authors' public code computes it: z = (sum of weights) x (sum of vectors), beside the bottom net's numbers.

It is MEM-REC over a bank of method `bloom`, whose ids have weights. Over any other bank z is the sum of the vectors,
which is the same model without weights (k_w = 0) and with another way to find vectors.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from pocketrec.compress import Bank
from pocketrec.compress.parts.init import generator
from pocketrec.models._config import ModelConfig
from pocketrec.models._model import Model
from pocketrec.models.parts.mlp import mlp

__all__ = ["MODEL", "MemRec"]


@final
class MemRec(Model):
    """The published model. Without dense numbers the bottom net is left out.

    The published widths are ``bottom=(512, 256)``, to which the tables' dim of 128 is added, and
    ``top=(1024, 1024, 512, 256)``.
    """

    name = "memrec"

    def __init__(self, bank: Bank, *, dense_features: int, config: ModelConfig, seed: int) -> None:
        super().__init__(bank, dense_features=dense_features, config=config, seed=seed)
        draw, dim = generator(seed), self.table_dim
        self.bottom = None
        if dense_features:
            self.bottom = mlp((dense_features, *config.bottom, dim), last_relu=True, generator=draw)
        inputs = 2 * dim if dense_features else dim
        self.top = mlp((inputs, *config.top, 1), last_relu=False, generator=draw)

    def forward(
        self, dense: Tensor, ids: Tensor, offsets: Tensor | None = None, weights: Tensor | None = None
    ) -> Tensor:
        together = self.bank.pooled(ids, offsets, weights)
        if self.bottom is not None:
            together = torch.cat([self.bottom(dense), together], dim=1)
        found: Tensor = self.top(together, self.masks())
        return found[:, 0].float()


MODEL = MemRec
