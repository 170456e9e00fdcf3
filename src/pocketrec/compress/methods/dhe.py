"""Large tables as networks: an id is hashed a thousand times, and a network makes its vector of the hashes.

Paper: Kang, Cheng, Yao, Yi, Chen, Hong, Chi, Learning to Embed Categorical Features without Embedding Tables for
    Recommendation (Deep Hash Embedding), KDD 2021, arXiv:2010.10784; one network per table and one width for all, as in
    the VLDB 2024 benchmark (Zhang et al., arXiv:2311.15578).
Bytes: 4 x ((hashes + 1) width + (layers - 1) (width + 1) width + (width + 1) dim + 2 layers width), summed over the
    tables that this makes smaller, + rows x stored row of the others + 8 for the seed; width is the largest that fits.
    Networks are float32; `storage` is for the exact rows.
Use when: tables are so large that not even a hashed row per hundred ids fits, ids come that nobody has seen before, and
    time is plenty: an id costs as much as a small network. An id needs no entry anywhere, in no id space.
Did not help when: measured: .008 to .019 of AUC behind full tables on the Criteo sample, .009 to .2 on Frappe, at eight
    times the time of a training step and 170 times that of a look-up (docs/which_method.md). Each of these networks
    normalises a vector by itself, where the paper normalises over the batch: with that an id's vector would depend on
    who stands beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, final

from pocketrec.compress.access import Access
from pocketrec.compress.addressing.nowhere import Nowhere
from pocketrec.compress.holdings import Holding, Matrix
from pocketrec.compress.method import Decision, Method, Traits
from pocketrec.compress.parts.exact_tables import EXACT, exact_access, exact_holding, groups_beside_exact, is_exact
from pocketrec.compress.parts.init import bound, stream, uniform_
from pocketrec.compress.parts.largest import largest_fitting
from pocketrec.compress.parts.row_tables import uniform_rows
from pocketrec.compress.parts.seed import SEED, read_seed, write_seed
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import GroupSizing, TableSizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from torch import Tensor

    from pocketrec.compress.computed import Asked
    from pocketrec.compress.group import Group

__all__ = ["DHE", "METHOD"]

_NETWORKS: Final = "networks"
_LEAST_WIDTH: Final = 4  # below it a vector that is normalised by itself has hardly anything left to say
_MOST_WIDTH: Final = 65_536
_MISH_POWER: Final = 0.4523421923721501  # mean of mish(z)^2 for a standard normal z
_FLOAT_BYTES: Final = 4


@final
@dataclass(frozen=True, kw_only=True)
class DHE(Method):
    """Deep hash embedding.

    Attributes:
        hashes: of an id, 2 to 65,536; an even number.
        layers: hidden layers of a network, each with a normalisation and a Mish behind it, 1 to 16.
        width: of the hidden layers, 4 to 65,536; None takes the largest that fits the budget.
        features: how a hash becomes a number: ``uniform`` between -1 and 1, or ``normal``.
    """

    name = "dhe"
    traits = Traits(ids=("rank", "plain", "hash63"), rounds=True)

    hashes: int = 1024
    layers: int = 5
    width: int | None = None
    features: Literal["uniform", "normal"] = "uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("hashes", 2 <= self.hashes <= 65_536 and self.hashes % 2 == 0, "be an even number in 2..65536")
        self.require("layers", 1 <= self.layers <= 16, "lie in 1..16")
        fits = self.width is None or _LEAST_WIDTH <= self.width <= _MOST_WIDTH
        self.require("width", fits, f"lie in {_LEAST_WIDTH}..{_MOST_WIDTH}")
        self.require("features", self.features in ("uniform", "normal"), "be uniform or normal")

    # -- sizes -------------------------------------------------------------------------------------------------------

    def least_bytes(self, tables: Sequence[TableSpec]) -> int:
        return self._bytes(tables, self.width or _LEAST_WIDTH)

    def _bytes(self, tables: Sequence[TableSpec], width: int) -> int:
        networks = [self._smaller(t, width) for t in tables]
        exact = sum(self._exact_bytes(t) for t, smaller in zip(tables, networks, strict=True) if not smaller)
        return exact + sum(networks) * self._network_bytes(tables[0].dim, width) + SEED.nbytes * any(networks)

    def _exact_bytes(self, table: TableSpec) -> int:
        return table.closed_rows * STORAGES.get(self.storage).row_bytes(table.dim)

    def _network_bytes(self, dim: int, width: int) -> int:
        return _FLOAT_BYTES * sum(math.prod(shape) for shape in self._shapes(1, dim, width).values())

    def _smaller(self, table: TableSpec, width: int) -> bool:
        """Whether a network is smaller than the table's rows; hashes have no rows of their own."""
        return table.ids == "hash63" or self._network_bytes(table.dim, width) < self._exact_bytes(table)

    def _shapes(self, tables: int, dim: int, width: int) -> dict[str, tuple[int, ...]]:
        """Of each of the matrices of so many networks."""
        hidden = {f"hidden{layer}": (tables, width + 1, width) for layer in range(1, self.layers)}
        first, last, norms = (self.hashes + 1, width), (width + 1, dim), (self.layers, 2, width)
        return {"first": (tables, *first), **hidden, "last": (tables, *last), "norms": (tables, *norms)}

    def decide(self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats]) -> Decision:
        width = self.width or self._largest_width(tables, budget_bytes)
        sized = tuple(
            TableSizing(
                table=t, ids=t.ids, told_apart=t.closed_rows - 1 if t.ids == "rank" else 0,
                settings={"rows": 1 if self._smaller(t, width) else t.closed_rows},
            )
            for t in tables
        )  # fmt: skip
        return Decision(tables=sized, settings={"width": width})

    def _largest_width(self, tables: Sequence[TableSpec], budget_bytes: int) -> int:
        return largest_fitting(_LEAST_WIDTH, _MOST_WIDTH, lambda width: self._bytes(tables, width) <= budget_bytes)

    def groups(
        self, tables: Sequence[TableSpec], budget_bytes: int, stats: Mapping[str, TableStats], optimizer: OptimizerSpec
    ) -> tuple[tuple[GroupSizing, ...], tuple[str, ...]]:
        decision = self.decide(tables, budget_bytes, stats)
        compressed = [self._smaller(t, int(decision.settings["width"])) for t in tables]
        return groups_beside_exact(self, decision, optimizer, part=_NETWORKS, compressed=compressed), decision.notes

    def holdings(self, tables: Sequence[TableSizing], settings: Mapping[str, Any]) -> tuple[Holding, ...]:
        if settings["part"] != _NETWORKS:
            return (exact_holding(tables),)
        count, dim = len(_networks(tables)), tables[0].table.dim
        shapes = self._shapes(count, dim, int(settings["width"]))
        return (*(Matrix(name, shape) for name, shape in shapes.items()), SEED.holding)

    # -- values ------------------------------------------------------------------------------------------------------

    def initialise(self, group: Group, *, seed: int, data: Mapping[str, Any] | None = None) -> None:
        if is_exact(group.sizing):
            uniform_rows(group, EXACT, self.init, seed=seed)
            return
        write_seed(group, seed)
        width, tables = int(group.sizing.settings["width"]), group.sizing.tables
        norms = group.tensor("norms").data
        norms[:, :, 0], norms[:, :, 1] = 1.0, 0.0
        for number, place in enumerate(_networks(tables)):
            last = bound(tables[place].table, self.init) / math.sqrt(width * _MISH_POWER)
            for layer, name in enumerate(self._layers()):
                weights = group.tensor(name).data[number]
                weights[-1] = 0.0  # a bias
                half_width = last if name == "last" else math.sqrt(1 / (len(weights) - 1))
                uniform_(weights[:-1], half_width, seed=stream(seed, number, layer))

    def _layers(self) -> list[str]:
        """Names of the matrices, from hashes to vectors."""
        return ["first", *(f"hidden{layer}" for layer in range(1, self.layers)), "last"]

    # -- looking up --------------------------------------------------------------------------------------------------

    def access(self, sizing: GroupSizing, tensors: Mapping[str, Tensor]) -> Access:
        if is_exact(sizing):
            return exact_access(sizing)
        seed = read_seed(tensors)
        nowhere = [Nowhere(seed=stream(seed, place)) for place in range(len(sizing.tables))]
        return Access(regions=(), addressing=nowhere, width=0, computes=True)

    def computed(self, group: Group, rows: Tensor, asked: Asked) -> Tensor:
        from pocketrec.compress.computed import per_table  # here, not above: sizing answers without torch
        from pocketrec.native.hash_features import hash_features

        # all slices of a matrix at once: their gradients then come together, too
        networks = list(zip(*(group.tensor(n).unbind(0) for n in ("norms", *self._layers())), strict=True))
        number = {place: n for n, place in enumerate(_networks(group.sizing.tables))}

        def vectors(place: int, ids: Tensor) -> Tensor:
            if place not in number:  # exact, and never asked for here
                return ids.new_zeros((ids.shape[0], group.dim), dtype=rows.dtype)
            addressing = group.access.addressing[place]
            assert isinstance(addressing, Nowhere)
            features = hash_features(ids, addressing.seed, self.hashes, self.features)
            return _network(features, *networks[number[place]])

        return per_table(group, asked, vectors)


def _networks(tables: Sequence[TableSizing]) -> list[int]:
    """The tables that have a network."""
    return [place for place, t in enumerate(tables) if t.settings["rows"]]


def _network(features: Tensor, norms: Tensor, *layers: Tensor) -> Tensor:
    """One network: float32 [n, dim] of features [n, hashes]; the last row of a layer's matrix is its bias."""
    from torch.nn.functional import layer_norm, mish

    found, last = features, layers[-1]
    for matrix, norm in zip(layers[:-1], norms.unbind(0), strict=True):
        found = mish(layer_norm(found @ matrix[:-1] + matrix[-1], norm.shape[1:], norm[0], norm[1]))
    return found @ last[:-1] + last[-1]


METHOD = DHE
