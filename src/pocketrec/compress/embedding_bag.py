"""EmbeddingBag: a drop-in for torch.nn.EmbeddingBag that takes a method and a number of bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, cast, final

import torch
from torch import Tensor, nn

from pocketrec.compress.build import build
from pocketrec.compress.freeze import freeze
from pocketrec.compress.group import Pool
from pocketrec.compress.in_float32 import in_float32
from pocketrec.compress.method import METHODS, Method, of
from pocketrec.compress.parts.init import generator, stream
from pocketrec.spec.budget import Budget
from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import IdSpace, TableSpec

__all__ = ["EmbeddingBag"]

Mode = Literal["sum", "mean", "max"]

# Half-width of the uniform distribution of variance 1, which is that of torch's N(0, 1).
_UNIT_VARIANCE = math.sqrt(3)


@final
class EmbeddingBag(nn.Module):
    """One table in few bytes, called like ``torch.nn.EmbeddingBag``.

    The first twelve arguments are torch's, in torch's order. In a plain loop with a torch optimizer replacing the class
    name is enough. With ``fused=True`` backward leaves compact pairs instead of gradients, and :meth:`step` applies
    them to the touched rows only.

    Args:
        num_embeddings: number of ids.
        embedding_dim: numbers per vector.
        max_norm: must be None; renormalising rows while they are read is not supported.
        norm_type: of `max_norm`; without it, as in torch, it says nothing.
        scale_grad_by_freq: must be False.
        mode: how a bag becomes one vector.
        sparse: gradients as sparse tensors (for torch optimizers that take them); dense otherwise, as in torch.
        _weight: float32 [num_embeddings, embedding_dim] to start from; copied. The method must be able to
            (trait ``from_dense``).
        include_last_offset: `offsets` end with the number of values.
        padding_idx: values with this id are left out of their bag and train nothing.
        device: ``cpu`` or ``meta``.
        dtype: float32; ask for fewer bytes by the option `storage`.
        method: a name, or a :class:`~pocketrec.compress.Method`.
        budget: ``"64MiB"``, ``"16x"``, ``"5%"`` or bytes; None gives as much as the dense table would take.
        ids: what the ids are; ``rank`` when id 0 is "unknown" and 1, 2, ... fall in frequency (min_count needs it).
        counts: how often each id occurs, int64 [num_embeddings], for methods that need it.
        data: what else methods are built from, such as ``{"value_sets": {"weight": sets}}`` for `lma`.
        fused: leave compact pairs for :meth:`step` instead of gradients.
        optimizer: of :meth:`step` (``fused=True``); row-wise Adagrad when not given.
        seed: of starting values and hashes. torch's global generator is neither read nor moved.
        options: of the method (``storage="int8"``, ``block=8``, ...). Without `init` looked-up numbers start with mean
            0 and variance 1 as in torch: normal for `full`, uniform for methods that read numbers as they are. For a
            click model ``init=rows ** -0.5`` is the better start.

    Raises:
        BudgetTooSmall: names the floor of the method. OptionError: a setting that does not fit.

    >>> bag = EmbeddingBag(1000, 16, mode="sum", method="robe", budget="10x")
    >>> bag(torch.tensor([1, 2, 4, 5]), torch.tensor([0, 2])).shape
    torch.Size([2, 16])
    >>> bag.serve_bytes
    6400
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, max_norm: float | None = None, norm_type: float = 2.0,
        scale_grad_by_freq: bool = False, mode: Mode = "mean", sparse: bool = False, _weight: Tensor | None = None,
        include_last_offset: bool = False, padding_idx: int | None = None,
        device: str | torch.device | None = None, dtype: torch.dtype | None = None, *,
        method: str | Method = "full", budget: Budget | str | int | None = None, ids: IdSpace = "plain",
        counts: Tensor | None = None, data: Mapping[str, Any] | None = None, fused: bool = False,
        optimizer: OptimizerSpec | None = None, seed: int = 0, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        _refuse_what_torch_only_can(max_norm, scale_grad_by_freq, device, dtype)
        if mode not in ("sum", "mean", "max"):
            raise OptionError(f"mode is sum, mean or max, not {mode!r}.")
        if sparse and fused:
            raise OptionError("Gradients are either sparse tensors (sparse) or compact pairs for step (fused).")
        self.num_embeddings, self.embedding_dim, self.mode, self.sparse = num_embeddings, embedding_dim, mode, sparse
        self.include_last_offset, self.padding_idx = include_last_offset, _padding(padding_idx, num_embeddings)
        table = TableSpec(name="weight", rows=num_embeddings, dim=embedding_dim, ids=ids)
        chosen = of(method, options) if isinstance(method, str) else replace(method, **options)
        like_torch = chosen.init is None
        if like_torch:
            chosen = replace(chosen, init=_UNIT_VARIANCE)
        stats = None if counts is None else {"weight": TableStats.of_counts("weight", counts.tolist())}
        # without step() a torch optimizer holds the state, so the bank holds none
        optimizer = (optimizer or OptimizerSpec()) if fused else OptimizerSpec(name="sgd")
        sizing = chosen.size([table], "1x" if budget is None else budget, stats=stats, optimizer=optimizer)
        padding = {} if self.padding_idx is None else {"weight": self.padding_idx}
        self.bank = build(sizing, seed=seed, data=data, padding=padding, device=device or "cpu")
        self.bank.gradient = "pairs" if fused else "sparse" if sparse else "dense"
        if chosen.name == "full" and self.bank.group_of("weight").tensor("rows").device.type != "meta":
            self._start_like_torch(normal=like_torch, seed=seed)
        if _weight is not None:
            self._take(_weight)

    def _start_like_torch(self, *, normal: bool, seed: int) -> None:
        """N(0, 1) instead of a uniform distribution of that variance, and zeros in the padding row."""
        with torch.no_grad(), in_float32(self.bank.group_of("weight")) as plain:
            rows = plain.tensor("rows")
            if normal:
                rows.normal_(generator=generator(stream(seed, 0)))
            if self.padding_idx is not None:
                rows[self.padding_idx] = 0

    def _take(self, weight: Tensor) -> None:
        """Start from a dense table."""
        group = self.bank.group_of("weight")
        shape = (self.num_embeddings, self.embedding_dim)
        if tuple(weight.shape) != shape or not weight.is_floating_point():
            raise OptionError(f"weight must be a float {list(shape)} tensor, got {list(weight.shape)} {weight.dtype}.")
        if not group.method.traits.from_dense:
            raise OptionError(f"{group.method.name} cannot start from a dense table (its trait from_dense is off).")
        for part in self.bank.unit_of("weight"):
            with torch.no_grad(), in_float32(part) as plain:
                part.method.from_dense(plain, {"weight": weight.detach().to(torch.float32)})

    @staticmethod
    def from_pretrained(
        weight: Tensor, method: str | Method = "full", budget: Budget | str | int | None = None, *,
        freeze: bool = False, **settings: Any,
    ) -> EmbeddingBag:  # fmt: skip
        """A compressed copy of a dense table.

        Args:
            weight: float32 [rows, dim].
            method: one whose traits say ``from_dense``.
            budget: as in the constructor.
            freeze: whether the copy shall not learn (torch's default; here a copy learns unless it is said).
            settings: of the constructor.

        Raises:
            OptionError: the method cannot start from a dense table, or the weight is not a float table of two axes.
        """
        if weight.dim() != 2 or not weight.is_floating_point():
            raise OptionError(f"weight must be a float [rows, dim] tensor, got {list(weight.shape)} {weight.dtype}.")
        kind = METHODS.get(method) if isinstance(method, str) else type(method)
        if not kind.traits.from_dense:  # before anything is built
            raise OptionError(f"{kind.name} cannot start from a dense table (its trait from_dense is off).")
        made = EmbeddingBag(weight.shape[0], weight.shape[1], method=method, budget=budget, _weight=weight, **settings)
        if freeze:
            made.bank.gradient = "dense"  # pairs are taken whatever a parameter says
            made.requires_grad_(False)
        return made

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        """Pooled vectors, float32 [bags, dim].

        Args:
            input: integer ids, [bags, length] (bags of equal length, no offsets), or [values] with `offsets`, or a
                nested tensor of bags (layout ``torch.jagged``).
            offsets: [bags], where each bag begins; one more with ``include_last_offset``.
            per_sample_weights: float32 like `input`, factors of a sum.
        """
        if input.is_nested:
            input, offsets, per_sample_weights = _unnested(input, offsets, per_sample_weights)
            offsets = offsets if self.include_last_offset else offsets[:-1]
        ids, offsets = self._jagged(input, offsets)
        weights = None if per_sample_weights is None else self._factors(per_sample_weights, input)
        pooled = cast(Tensor, self.bank(ids, offsets, weights, cast(Pool, self.mode)))[:, 0]
        # autograd watches the bank's own result; a copy may be changed in place as torch's may
        return pooled.clone() if pooled.requires_grad else pooled

    def _factors(self, weights: Tensor, input: Tensor) -> Tensor:
        """Factors of the values, float32 [values]."""
        if self.mode != "sum":
            raise OptionError(f"per_sample_weights go with mode='sum', not {self.mode!r}.")
        if weights.shape != input.shape:
            raise OptionError(
                f"per_sample_weights {list(weights.shape)} must have the shape of ids, {list(input.shape)}."
            )
        return weights.reshape(-1).to(torch.float32)

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
        if not torch.compiler.is_compiling() and offsets.numel() and int(offsets[0]) != 0:
            raise OptionError(f"offsets must begin with 0, where the first bag does; got {int(offsets[0])}.")
        if not self.include_last_offset:
            offsets = torch.cat([offsets, offsets.new_full((1,), ids.numel())])
        return ids, offsets

    def step(self, *, lr: float | None = None) -> None:
        """Apply what backward left to the touched rows (``fused=True``).

        Methods with small matrices or networks of their own (`narrow` that widens, `dhe`) leave these to your
        optimizer: they are parameters like any other.
        """
        if self.bank.gradient != "pairs":
            raise OptionError("step() applies compact pairs; make the bag with fused=True, or use a torch optimizer.")
        self.bank.step(lr=lr)

    def frozen(self) -> EmbeddingBag:
        """The serving form: exactly :attr:`serve_bytes`, weights in their storage, no gradients."""
        served = object.__new__(EmbeddingBag)
        nn.Module.__init__(served)
        for name in ("num_embeddings", "embedding_dim", "mode", "sparse", "include_last_offset", "padding_idx"):
            setattr(served, name, getattr(self, name))
        served.bank = freeze(self.bank)
        return served.eval()

    @property
    def weight(self) -> Tensor:
        """The table itself, float [rows, dim], where every id has a row of its own (method ``full``)."""
        group = self.bank.group_of("weight")
        if group.method.name != "full":
            raise OptionError(f"{group.method.name} has no row per id; ask table() for the vectors that it stands for.")
        rows = group.tensor("rows")
        if not rows.is_floating_point():
            raise OptionError(f"Rows of storage {group.method.storage} are codes; ask table() for their values.")
        return rows

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


def _unnested(bags: Any, offsets: Tensor | None, weights: Any) -> tuple[Tensor, Tensor, Tensor | None]:
    """Ids [values], offsets [bags + 1] and factors of a nested tensor of bags."""
    if offsets is not None or bags.layout is not torch.jagged:
        raise OptionError("Nested ids bring their own offsets and have layout torch.jagged; give no others.")
    bags = bags.contiguous()  # closes the gaps of a narrowed one
    if weights is not None:
        nested = weights.is_nested and weights.layout is torch.jagged
        weights = weights.contiguous() if nested else None
        if weights is None or not torch.equal(weights.offsets(), bags.offsets()):
            raise OptionError("per_sample_weights of nested ids are nested too, with as many numbers in each bag.")
        weights = weights.values()
    return bags.values(), bags.offsets(), weights


def _refuse_what_torch_only_can(
    max_norm: float | None, scale_grad_by_freq: bool, device: str | torch.device | None, dtype: torch.dtype | None
) -> None:
    """Arguments of torch's bag that would be silently wrong here."""
    if max_norm is not None:
        raise OptionError("max_norm is not supported: rows are not renormalised while they are read. Leave it None.")
    if scale_grad_by_freq:
        raise OptionError("scale_grad_by_freq is not supported: gradients are not divided by counts. Leave it False.")
    if dtype not in (None, torch.float32):
        raise OptionError(f"dtype must be float32, got {dtype}. For fewer bytes take an option such as storage='int8'.")
    if device is not None and torch.device(device).type not in ("cpu", "meta"):
        raise OptionError(f"device must be cpu or meta, got {device}.")


def _padding(padding_idx: int | None, rows: int) -> int | None:
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise OptionError(f"padding_idx {padding_idx} is not within {rows} rows.")
    return padding_idx % rows
