"""DLRM: a net over the dense numbers, all pairwise dot products of vectors, a net over both.

Paper: Naumov et al., Deep Learning Recommendation Model for Personalization and Recommendation Systems, 2019,
arXiv:1906.00091, figure 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self, final

import torch
from torch import Tensor

from pocketrec.compress import Bank
from pocketrec.compress.parts.init import generator
from pocketrec.compress.parts.unchanged import Unchanged
from pocketrec.models._config import ModelConfig
from pocketrec.models._model import Model
from pocketrec.models.parts.mlp import Mlp, mlp
from pocketrec.native.binding import kernels, kernels_for
from pocketrec.native.dlrm import DlrmCall
from pocketrec.native.eager import is_eager
from pocketrec.native.interact import interact, plain_interact
from pocketrec.native.net import MOST_ROWS
from pocketrec.spec.errors import IdError

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
        self._ready: _Ready | None = None

    def _few(self, dense: Tensor, ids: Tensor) -> Tensor | None:
        """What the top net gives for a few rows, in one call; None where that call is not for them."""
        if not 0 < len(ids) <= MOST_ROWS or torch.is_autocast_enabled("cpu") or self.masks() is not None:
            return None
        if self._ready is None or not self._ready.serves(self):
            self._ready = _made_ready(self, kernels_for(ids))
        if self._ready is None or not self._ready.call.takes(dense, ids):
            return None
        try:
            return self._ready.call(dense, ids)
        except IdError:  # the bank knows the names of its columns
            return None

    def with_bank(self, bank: Bank) -> Self:
        other = super().with_bank(bank)
        other._ready = None  # it would keep the bank of this one alive
        return other

    def forward(
        self, dense: Tensor, ids: Tensor, offsets: Tensor | None = None, weights: Tensor | None = None
    ) -> Tensor:
        bags = offsets is not None or weights is not None
        if not bags and not self.plain and is_eager(ids) and not torch.is_grad_enabled():
            few = self._few(dense, ids)
            if few is not None:
                return few
        low = None if self.bottom is None else self.bottom(dense)
        together = (plain_interact if self.plain else interact)(low, self.bank(ids, offsets, weights))
        found: Tensor = self.top(together, self.masks())
        return found[:, 0].float()


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Ready:
    """A call, and what it was made of. A copy or a pickle of it is None: another model makes its own."""

    call: DlrmCall
    kernels: Any
    bottom: Mlp | None
    bank: Bank
    top: Mlp
    unchanged: Unchanged

    def serves(self, model: Dlrm) -> bool:
        """Whether the model is still what it was made of."""
        same = self.bottom is model.bottom and self.bank is model.bank and self.top is model.top
        return same and self.kernels is kernels() and self.unchanged() and not self.unchanged.listened()

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return type(None), ()


def _made_ready(model: Dlrm, compiled: Any) -> _Ready | None:
    """The model as it is now as one call, or None where the kernel cannot compute it."""
    # asked at every call of a model that has no such call: the cheapest reasons first
    lookup = None if compiled is None else model.bank.prepared()
    if lookup is None:
        return None
    bottom, top = None if model.bottom is None else model.bottom.prepared(), model.top.prepared()
    if top is None or (bottom is None and model.bottom is not None):
        return None
    nets = [net for net in (model.bottom, model.top) if net is not None]
    unchanged = Unchanged([*model.bank.modules(), *(m for net in nets for m in net.modules())])
    if unchanged.listened():
        return None
    return _Ready(DlrmCall(compiled, bottom, lookup, top), compiled, model.bottom, model.bank, model.top, unchanged)


MODEL = Dlrm
