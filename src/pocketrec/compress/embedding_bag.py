"""EmbeddingBag: a drop-in for torch.nn.EmbeddingBag that takes a method and a number of bytes."""

from __future__ import annotations

from typing import Any, Literal, cast, final

import torch
from torch import Tensor, nn

from pocketrec.compress.build import build
from pocketrec.compress.freeze import freeze
from pocketrec.compress.group import Pool
from pocketrec.compress.method import Method, of
from pocketrec.spec.budget import Budget
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import IdSpace, TableSpec

__all__ = ["EmbeddingBag"]

Mode = Literal["sum", "mean", "max"]


@final
class EmbeddingBag(nn.Module):
    """One table in few bytes, called like ``torch.nn.EmbeddingBag``.

    In a plain loop with a torch optimizer nothing else changes. With ``fused=True`` backward leaves compact pairs
    instead of gradients, and :meth:`step` applies them to the touched rows only.

    Args:
        num_embeddings: number of ids.
        embedding_dim: numbers per vector.
        mode: how a bag becomes one vector.
        sparse: gradients as sparse tensors (for torch optimizers that take them); dense otherwise, as in torch.
        include_last_offset: `offsets` end with the number of values.
        padding_idx: values with this id are left out of their bag and train nothing.
        method: a name, or a :class:`~pocketrec.compress.Method`.
        budget: ``"64MiB"``, ``"16x"``, ``"5%"`` or bytes; None gives as much as the dense table would take.
        ids: what the ids are; ``rank`` when id 0 is "unknown" and 1, 2, ... fall in frequency (min_count needs it).
        counts: how often each id occurs, int64 [num_embeddings], for methods that need it.
        fused: leave compact pairs for :meth:`step` instead of gradients.
        optimizer: of :meth:`step`; row-wise Adagrad when not given.
        seed: of starting values and hashes.
        options: of the method (``storage="int8"``, ``block=8``, ...).

    Raises:
        BudgetTooSmall: names the floor of the method. OptionError: a setting that does not fit.

    >>> bag = EmbeddingBag(1000, 16, mode="sum", method="robe", budget="10x")
    >>> bag(torch.tensor([1, 2, 4, 5]), torch.tensor([0, 2])).shape
    torch.Size([2, 16])
    >>> bag.serve_bytes
    6400
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, *, mode: Mode = "mean", sparse: bool = False,
        include_last_offset: bool = False, padding_idx: int | None = None, method: str | Method = "full",
        budget: Budget | str | int | None = None, ids: IdSpace = "plain", counts: Tensor | None = None,
        fused: bool = False, optimizer: OptimizerSpec | None = None, seed: int = 0, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        if mode not in ("sum", "mean", "max"):
            raise OptionError(f"mode is sum, mean or max, not {mode!r}.")
        self.num_embeddings, self.embedding_dim, self.mode = num_embeddings, embedding_dim, mode
        self.include_last_offset, self.padding_idx = include_last_offset, _padding(padding_idx, num_embeddings)
        table = TableSpec(name="weight", rows=num_embeddings, dim=embedding_dim, ids=ids)
        chosen = of(method, options) if isinstance(method, str) else method
        stats = None if counts is None else {"weight": TableStats.of_counts("weight", counts.tolist())}
        sizing = chosen.size([table], "1x" if budget is None else budget, stats=stats, optimizer=optimizer)
        padding = {} if self.padding_idx is None else {"weight": self.padding_idx}
        self.bank = build(sizing, seed=seed, padding=padding)
        self.bank.gradient = "pairs" if fused else "sparse" if sparse else "dense"

    @staticmethod
    def from_pretrained(
        weight: Tensor, method: str | Method = "full", budget: Budget | str | int | None = None, **settings: Any
    ) -> EmbeddingBag:
        """A compressed copy of a dense table.

        Args:
            weight: float32 [rows, dim].
            method: one whose traits say ``from_dense``.
            budget: as in the constructor.
            settings: of the constructor.

        Raises:
            OptionError: the method cannot start from a dense table, or the weight is not a float table of two axes.
        """
        if weight.dim() != 2 or not weight.is_floating_point():
            raise OptionError(f"weight must be a float [rows, dim] tensor, got {tuple(weight.shape)} {weight.dtype}.")
        made = EmbeddingBag(weight.shape[0], weight.shape[1], method=method, budget=budget, **settings)
        group = made.bank.group_of("weight")
        if not group.method.traits.from_dense:
            raise OptionError(f"{group.method.name} cannot start from a dense table (its trait from_dense is off).")
        with torch.no_grad():
            group.method.from_dense(group, {"weight": weight.detach().to(torch.float32)})
        return made

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        """Pooled vectors, float32 [bags, dim].

        Args:
            input: integer ids, [bags, length] (bags of equal length, no offsets) or [values] with `offsets`.
            offsets: [bags], where each bag begins; one more with ``include_last_offset``.
            per_sample_weights: float32 like `input`, factors of a sum.
        """
        ids, offsets = self._jagged(input, offsets)
        weights = None if per_sample_weights is None else per_sample_weights.reshape(-1).to(torch.float32)
        if weights is not None and self.mode != "sum":
            raise OptionError(f"per_sample_weights go with mode='sum', not {self.mode!r}.")
        return cast(Tensor, self.bank(ids, offsets, weights, cast(Pool, self.mode)))[:, 0]

    def _jagged(self, input: Tensor, offsets: Tensor | None) -> tuple[Tensor, Tensor]:
        ids = input.reshape(-1).to(torch.int64)
        if input.dim() == 2:
            if offsets is not None:
                raise OptionError("ids of two axes are bags of equal length; give no offsets.")
            return ids, torch.arange(input.shape[0] + 1, device=input.device) * input.shape[1]
        if input.dim() != 1 or offsets is None:
            raise OptionError(
                f"ids need one axis and offsets, or two axes; got {input.dim()} axes and offsets={offsets}."
            )
        offsets = offsets.to(torch.int64)
        if not self.include_last_offset:
            offsets = torch.cat([offsets, offsets.new_full((1,), ids.numel())])
        return ids, offsets

    def step(self, *, lr: float | None = None) -> None:
        """Apply what backward left to the touched rows (``fused=True``)."""
        self.bank.step(lr=lr)

    def frozen(self) -> EmbeddingBag:
        """The serving form: exactly :attr:`serve_bytes`, weights in their storage, no gradients."""
        served = object.__new__(EmbeddingBag)
        nn.Module.__init__(served)
        for name in ("num_embeddings", "embedding_dim", "mode", "include_last_offset", "padding_idx"):
            setattr(served, name, getattr(self, name))
        served.bank = freeze(self.bank)
        return served.eval()

    @property
    def weight(self) -> Tensor:
        """The table itself, float32 [rows, dim], where every id has a row of its own (method ``full``)."""
        group = self.bank.group_of("weight")
        if group.method.name != "full":
            raise OptionError(f"{group.method.name} has no row per id; ask table() for the vectors that it stands for.")
        return group.tensor("rows")

    def table(self) -> Tensor:
        """The vectors of all ids, float32 [num_embeddings, dim]. As large as the dense table."""
        return self.bank.rows("weight", 0, self.num_embeddings)

    @property
    def sizing(self) -> Sizing:
        """What was decided."""
        return self.bank.sizing

    @property
    def serve_bytes(self) -> int:
        """Bytes of the serving form."""
        return self.bank.sizing.serve_bytes

    def extra_repr(self) -> str:
        return f"{self.num_embeddings}, {self.embedding_dim}, mode={self.mode!r}, {self.serve_bytes:,} bytes"


def _padding(padding_idx: int | None, rows: int) -> int | None:
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise OptionError(f"padding_idx {padding_idx} is not within {rows} rows.")
    return padding_idx % rows
