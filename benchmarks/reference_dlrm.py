"""A DLRM in plain torch, as its paper draws it: what a reader of the paper would write first.

Naumov et al., Deep Learning Recommendation Model for Personalization and Recommendation Systems, 2019,
arXiv:1906.00091: a table per categorical field (nn.EmbeddingBag with sparse gradients), a bottom net over the dense
numbers, dot products of all pairs of vectors, a top net over both; one SGD for everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Rows(NamedTuple):
    """A batch, also in the form that pocketrec's trainer takes.

    Attributes:
        dense: float32 [batch, 13].
        ids: int64 [batch, 26].
        label: float32 [batch], 0 or 1.
    """

    dense: Tensor
    ids: Tensor
    label: Tensor
    weight: None = None
    offsets: None = None
    value_weights: None = None
    user: None = None


def net(widths: Sequence[int], *, last_relu: bool) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*(layers if last_relu else layers[:-1]))


class ReferenceDlrm(nn.Module):
    """The model.

    Args:
        sizes: rows of each table.
        dim: numbers per vector.
        bottom: widths of the bottom net from the dense numbers on, without `dim`.
        top: widths of the top net's inner layers.
    """

    def __init__(
        self, sizes: Sequence[int], dim: int = 16, bottom: Sequence[int] = (13, 512, 256, 64),
        top: Sequence[int] = (512, 256),
    ) -> None:  # fmt: skip
        super().__init__()
        self.tables = nn.ModuleList(nn.EmbeddingBag(rows, dim, mode="sum", sparse=True) for rows in sizes)
        vectors = len(sizes) + 1
        self.bottom = net((*bottom, dim), last_relu=True)
        self.top = net((dim + vectors * (vectors - 1) // 2, *top, 1), last_relu=False)
        self.first, self.second = torch.tril_indices(vectors, vectors, -1)

    def forward(self, dense: Tensor, ids: Tensor) -> Tensor:
        """Logits, float32 [batch]."""
        low = self.bottom(dense)
        found = [table(ids[:, i : i + 1]) for i, table in enumerate(self.tables)]
        vectors = torch.stack([low, *(one.to(low.dtype) for one in found)], dim=1)
        products = torch.bmm(vectors, vectors.transpose(1, 2))[:, self.first, self.second]
        logits: Tensor = self.top(torch.cat([low, products], dim=1))
        return logits[:, 0].float()

    def take(self, nets: dict[str, Tensor], tables: Tensor) -> None:
        """Copy weights: nets by name ("bottom.0.weight"), and the rows of all tables one upon the other."""
        with torch.no_grad():
            for name, tensor in self.named_parameters():
                if name in nets:
                    tensor.copy_(nets[name])
            sizes = [table.num_embeddings for table in self._bags()]
            for table, rows in zip(self._bags(), torch.split(tables, sizes), strict=True):
                table.weight.copy_(rows)

    def _bags(self) -> list[nn.EmbeddingBag]:
        return [table for table in self.tables if isinstance(table, nn.EmbeddingBag)]


def train_step(model: ReferenceDlrm, optimizer: torch.optim.Optimizer, batch: Rows, *, bfloat16: bool = False) -> None:
    """Forward, backward, update."""
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        logits = model(batch.dense, batch.ids)
    loss = nn.functional.binary_cross_entropy_with_logits(logits, batch.label)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
