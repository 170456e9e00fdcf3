"""Rows with a planted law, as the suite of models feeds them: numbers, ids or bags of ids, and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

__all__ = ["TABLE_ROWS", "ClickRows", "Inputs", "planted"]

# One column each: a small table, a tiny one, a larger one.
TABLE_ROWS = (24, 9, 40)

Inputs = tuple[Tensor, Tensor, Tensor | None, Tensor | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickRows:
    """Some rows.

    Attributes:
        dense: float32 [rows, dense_features].
        tokens: per column, per row: the ids.
        bags: whether rows hold bags of ids, those of the last column averaged; else one id each.
        label: float32 [rows].
    """

    dense: Tensor
    tokens: tuple[tuple[tuple[int, ...], ...], ...]
    bags: bool
    label: Tensor

    def inputs(self) -> Inputs:
        """The arguments of a model: dense, ids, offsets, weights."""
        if not self.bags:
            ids = torch.tensor(self.tokens, dtype=torch.int64).reshape(len(self.tokens), -1)
            return self.dense, ids.T.contiguous(), None, None
        each = [bag for column in self.tokens for bag in column]
        lengths = torch.tensor([len(bag) for bag in each], dtype=torch.int64)
        offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
        last = len(self.tokens) - 1
        factors = [1 / len(bag) if c == last else 1.0 for c, column in enumerate(self.tokens) for bag in column
                   for _ in bag]  # fmt: skip
        ids = torch.tensor([token for bag in each for token in bag], dtype=torch.int64)
        return self.dense, ids, offsets, torch.tensor(factors, dtype=torch.float32)

    def rows(self, chosen: Sequence[int]) -> ClickRows:
        """These rows, in this order."""
        kept = tuple(tuple(column[i] for i in chosen) for column in self.tokens)
        index = torch.tensor(list(chosen), dtype=torch.int64)
        return replace(self, dense=self.dense[index], tokens=kept, label=self.label[index])

    def as_bags(self) -> ClickRows:
        """The same rows, every id a bag of its own."""
        return replace(self, bags=True)

    def with_other_token(self, column: int, row: int) -> ClickRows:
        """The same rows with another id (or bag of one) at one place."""
        tokens = [list(c) for c in self.tokens]
        tokens[column][row] = (((*tokens[column][row], 0)[0] + 1) % TABLE_ROWS[column],)
        return replace(self, tokens=tuple(map(tuple, tokens)))


def planted(count: int, *, dense_features: int, bags: bool, seed: int = 0) -> ClickRows:
    """Rows whose label follows from first-order effects, one pair of columns, and the dense numbers.

    Args:
        count: rows.
        dense_features: numbers per row.
        bags: whether rows hold bags of 0 to 3 ids in place of one.
        seed: of the draw.
    """
    draw = torch.Generator().manual_seed(seed)
    effects = [torch.randn(n, generator=draw) for n in TABLE_ROWS]
    taste, slope = (
        torch.randn(TABLE_ROWS[0], TABLE_ROWS[1], generator=draw),
        torch.randn(dense_features, generator=draw),
    )
    dense = torch.randn(count, dense_features, generator=draw)
    columns: list[tuple[tuple[int, ...], ...]] = []
    for rows in TABLE_ROWS:
        lengths = torch.randint(4, (count,), generator=draw).tolist() if bags else [1] * count
        drawn = torch.randint(rows, (count, 3), generator=draw).tolist()
        columns.append(tuple(tuple(ids[:length]) for ids, length in zip(drawn, lengths, strict=True)))
    score = dense @ slope
    for row in range(count):
        score[row] += sum(float(e[t]) for e, c in zip(effects, columns, strict=True) for t in c[row])
        score[row] += sum(float(taste[a, b]) for a in columns[0][row] for b in columns[1][row])
    return ClickRows(dense=dense, tokens=tuple(columns), bags=bags, label=(score > score.median()).float())
