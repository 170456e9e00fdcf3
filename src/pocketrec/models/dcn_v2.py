"""DCN-V2: layers that multiply the inputs by linear maps of what came before; and a net on them, or beside them.

Paper: Wang et al., DCN V2: Improved Deep & Cross Network and Practical Lessons for Web-scale Learning to Rank Systems,
2021, arXiv:2008.13535: the cross layer is equation (1), stacked and parallel are figure 1, matrices of low rank are
section 3.5 (one expert, without the gate and the nonlinearity of its mixture).
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from pocketrec.compress import Bank
from pocketrec.compress.parts.init import generator
from pocketrec.models._config import ModelConfig
from pocketrec.models._model import Model
from pocketrec.models.parts.linear import linear
from pocketrec.models.parts.mlp import mlp

__all__ = ["MODEL", "CrossLayer", "DcnV2"]


@final
class CrossLayer(nn.Module):
    """x0 * (W x + b) + x, equation (1); with a rank, W = U V^T.

    Args:
        width: numbers of x0 and x.
        rank: of W, or None for a full matrix.
        generator: draws the starting values.
    """

    def __init__(self, width: int, rank: int | None, *, generator: torch.Generator) -> None:
        super().__init__()
        self.narrow = None if rank is None else linear(width, rank, generator=generator, bias=False)
        self.wide = linear(width if rank is None else rank, width, generator=generator)

    def forward(self, first: Tensor, numbers: Tensor) -> Tensor:
        """From x0 and x, [batch, width] each, to the next x."""
        found = numbers if self.narrow is None else self.narrow(numbers)
        mapped: Tensor = self.wide(found)
        return first * mapped + numbers


@final
class DcnV2(Model):
    """The published model over vectors and dense numbers side by side."""

    name = "dcn_v2"

    def __init__(self, bank: Bank, *, dense_features: int, config: ModelConfig, seed: int) -> None:
        super().__init__(bank, dense_features=dense_features, config=config, seed=seed)
        draw, width = generator(seed), self.columns * self.table_dim + dense_features
        self.cross = nn.ModuleList(
            CrossLayer(width, config.cross_rank, generator=draw) for _ in range(config.cross_layers)
        )
        self.last = None
        if config.cross == "stacked":
            self.deep = mlp((width, *config.top, 1), last_relu=False, generator=draw)
        else:
            self.deep = mlp((width, *config.top), last_relu=True, generator=draw)
            self.last = linear(width + config.top[-1], 1, generator=draw)

    def forward(
        self, dense: Tensor, ids: Tensor, offsets: Tensor | None = None, weights: Tensor | None = None
    ) -> Tensor:
        first = torch.cat([self.bank(ids, offsets, weights).flatten(1), dense], dim=1)
        crossed = first
        for layer in self.cross:
            crossed = layer(first, crossed)
        found: Tensor = self.deep(crossed if self.last is None else first, self.masks())
        if self.last is not None:
            found = self.last(torch.cat([crossed.to(found.dtype), found], dim=1))
        return found[:, 0].float()


MODEL = DcnV2
