"""EmbeddingBagCollection: the tables of a model in one number of bytes, called like torchrec's class of that name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, final

import torch
from torch import Tensor, nn

from pocketrec.compress.build import build
from pocketrec.compress.freeze import freeze
from pocketrec.compress.jagged import KeyedJagged, bags_of
from pocketrec.compress.method import Method, of
from pocketrec.spec.budget import Budget
from pocketrec.spec.errors import OptionError, UnknownName
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import IdSpace, TableSpec

__all__ = ["EmbeddingBagCollection", "EmbeddingBagConfig", "KeyedVectors"]


class TableConfig(Protocol):
    """What is read of a table's description: ours below, or torchrec's EmbeddingBagConfig."""

    name: str
    num_embeddings: int
    embedding_dim: int
    feature_names: Any
    pooling: Any


@dataclass(slots=True, kw_only=True)
class EmbeddingBagConfig:
    """One table and the features that read it, in torchrec's words.

    Attributes:
        name: of the table, unique.
        num_embeddings: number of ids.
        embedding_dim: numbers per vector.
        feature_names: features that look this table up; empty: one, called like the table.
        pooling: ``sum`` or ``mean``.
    """

    name: str
    num_embeddings: int
    embedding_dim: int
    feature_names: Sequence[str] = ()
    pooling: str = "sum"


@dataclass(frozen=True, slots=True, eq=False)
class KeyedVectors:
    """One vector per row and feature, read like torchrec's KeyedTensor.

    Attributes:
        names: of the features, in order. A feature of several tables is called ``feature@table``.
        vectors: float32 [batch, features, dim].
    """

    names: tuple[str, ...]
    vectors: Tensor

    def keys(self) -> list[str]:
        """Names of the features."""
        return list(self.names)

    def values(self) -> Tensor:
        """All vectors side by side: float32 [batch, features x dim]."""
        return self.vectors.flatten(1)

    def __getitem__(self, name: str) -> Tensor:
        """The vectors of one feature: float32 [batch, dim]."""
        if name not in self.names:
            raise UnknownName("feature", name, self.names)
        return self.vectors[:, self.names.index(name)]

    def to_dict(self) -> dict[str, Tensor]:
        """Vectors by feature: float32 [batch, dim] each."""
        return {name: self.vectors[:, column] for column, name in enumerate(self.names)}

    def length_per_key(self) -> list[int]:
        """Numbers per feature."""
        return [self.vectors.shape[2]] * len(self.names)

    def offset_per_key(self) -> list[int]:
        """Where each feature's numbers begin in :meth:`values`, and the end."""
        return [column * self.vectors.shape[2] for column in range(len(self.names) + 1)]

    def key_dim(self) -> int:
        """The axis of :meth:`values` along which features lie."""
        return 1


@final
class EmbeddingBagCollection(nn.Module):
    """Tables of one dim under one budget: keyed jagged input in, keyed vectors out.

    The first two arguments are torchrec's. Starting values are torchrec's too: uniform within sqrt(1 / rows).

    Args:
        tables: their descriptions; torchrec's own are taken as they are (their ``init_fn``, ``data_type`` ... are not
            read).
        is_weighted: whether weights of the input multiply the vectors; otherwise they are not looked at.
        method: a name, or a :class:`~pocketrec.compress.Method`.
        budget: for all tables together: ``"64MiB"``, ``"16x"``, ``"5%"`` or bytes; None gives as much as dense tables
            would take.
        ids: what the ids are; ``rank`` when id 0 is "unknown" and 1, 2, ... fall in frequency (min_count needs it).
        counts: by table, how often each id occurs, int64 [num_embeddings], for methods that need it.
        data: what else methods are built from, such as ``{"value_sets": {table: sets}}`` for `lma`.
        sparse: gradients as sparse tensors, for torch optimizers that take them; dense otherwise.
        fused: leave compact pairs for :meth:`step` instead of gradients.
        optimizer: of :meth:`step` (``fused=True``); row-wise Adagrad when not given.
        seed: of starting values and hashes.
        options: of the method (``storage="int8"``, ``block=8``, ...).

    Raises:
        BudgetTooSmall: names the floor of the method. OptionError: a description that does not fit.

    >>> item = EmbeddingBagConfig(name="item", num_embeddings=1000, embedding_dim=8, feature_names=["seen", "shown"])
    >>> EmbeddingBagCollection([item], method="robe", budget="10x").serve_bytes
    3200
    """

    _means: Tensor | None

    def __init__(
        self, tables: Sequence[TableConfig], is_weighted: bool = False, *, method: str | Method = "full",
        budget: Budget | str | int | None = None, ids: IdSpace = "plain", counts: Mapping[str, Tensor] | None = None,
        data: Mapping[str, Any] | None = None, sparse: bool = False, fused: bool = False,
        optimizer: OptimizerSpec | None = None, seed: int = 0, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        if sparse and fused:
            raise OptionError("Gradients are either sparse tensors (sparse) or compact pairs for step (fused).")
        self.is_weighted = is_weighted
        columns = [(str(name), table) for table in tables for name in (table.feature_names or [table.name])]
        means = [_is_mean(table) for _, table in columns]
        if is_weighted and any(means):
            raise OptionError("Weights go with pooling by sum; a table here is pooled by mean.")
        self.features, self.fields = tuple(name for name, _ in columns), _fields(columns)
        self.register_buffer("_means", torch.tensor(means) if any(means) else None, persistent=False)
        specs = [TableSpec(name=t.name, rows=t.num_embeddings, dim=t.embedding_dim, ids=ids) for t in tables]
        chosen = of(method, options) if isinstance(method, str) else replace(method, **options)
        stats = None if counts is None else {n: TableStats.of_counts(n, c.tolist()) for n, c in counts.items()}
        # without step() a torch optimizer holds the state, so the bank holds none
        optimizer = (optimizer or OptimizerSpec()) if fused else OptimizerSpec(name="sgd")
        sizing = chosen.size(specs, "1x" if budget is None else budget, stats=stats, optimizer=optimizer)
        self.bank = build(sizing, seed=seed, data=data, fields=self.fields)
        self.bank.gradient = "pairs" if fused else "sparse" if sparse else "dense"

    def forward(self, features: KeyedJagged) -> KeyedVectors:
        """Pooled vectors of all features.

        Args:
            features: torchrec's KeyedJaggedTensor or anything that answers like it; features that no table asks for are
                left alone.

        Raises:
            UnknownName: a feature is missing. OptionError: weights are missing, or batch sizes differ between features.
        """
        ids, offsets, weights = bags_of(features, self.features)
        if self.is_weighted and weights is None:
            raise OptionError("This collection is weighted (is_weighted=True), and the input has no weights.")
        vectors = self.bank(ids, offsets, weights if self.is_weighted else None)
        if self._means is not None:
            vectors = vectors * self._shares(self._means, offsets)
        return KeyedVectors(tuple(self.fields), vectors)

    def _shares(self, means: Tensor, offsets: Tensor) -> Tensor:
        """Factors of sums, float32 [batch, features, 1]: 1 / length of the bag where a mean is asked for."""
        lengths = offsets.diff()
        lengths = lengths.view(len(self.features), lengths.numel() // len(self.features)).t()
        return torch.where(means, 1 / lengths.clamp(min=1), 1.0)[:, :, None]

    def step(self, *, lr: float | None = None) -> None:
        """Apply what backward left to the touched rows (``fused=True``)."""
        if self.bank.gradient != "pairs":
            raise OptionError("step() applies compact pairs; make it with fused=True, or use a torch optimizer.")
        self.bank.step(lr=lr)

    def frozen(self) -> EmbeddingBagCollection:
        """The serving form: exactly :attr:`serve_bytes`, weights in their storage, no gradients."""
        served = object.__new__(EmbeddingBagCollection)
        nn.Module.__init__(served)
        served.is_weighted, served.features, served.fields = self.is_weighted, self.features, self.fields
        served.register_buffer("_means", self._means, persistent=False)
        served.bank = freeze(self.bank)
        return served.eval()

    @property
    def sizing(self) -> Sizing:
        """What was decided."""
        return self.bank.sizing

    @property
    def serve_bytes(self) -> int:
        """Bytes of the serving form."""
        return self.bank.sizing.serve_bytes


def _is_mean(table: TableConfig) -> bool:
    """From our text, or from torchrec's enumeration with values SUM, MEAN and NONE."""
    pooling = str(getattr(table.pooling, "value", table.pooling)).lower()
    if pooling not in ("sum", "mean"):
        raise OptionError(f"Table {table.name!r} is pooled by {pooling}; sum and mean are known.")
    return pooling == "mean"


def _fields(columns: Sequence[tuple[str, TableConfig]]) -> dict[str, str]:
    """Name and table of each column; a feature of several tables is told apart as torchrec does."""
    features = [name for name, _ in columns]
    named = {
        (name if features.count(name) == 1 else f"{name}@{table.name}"): table.name for name, table in columns
    }  # fmt: skip
    if len(named) != len(columns):
        raise OptionError(f"A table asks twice for one feature: {', '.join(features)}.")
    return named
