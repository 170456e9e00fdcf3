"""What the suites try methods on: tables, ids, batches, and banks that went through all of a method's stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from pocketrec.compress import Bank, build, stages
from pocketrec.compress.group import Group
from pocketrec.compress.method import METHODS, Method, of
from pocketrec.compress.storage import STORAGES
from pocketrec.spec.budget import dense_float32_bytes
from pocketrec.spec.cardinalities import scaled_cardinalities
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import IdSpace, TableSpec

__all__ = [
    "Batch",
    "Cases",
    "groups_of",
    "kept_in",
    "learn",
    "pools",
    "public_tables",
    "random_batch",
    "refusal",
    "same_vectors",
    "small_tables",
    "storages_of",
    "zipf_stats",
]

# A table that fills a share of several rows, one that is tiny, one of two rows, one larger than any budget's share.
_SMALL_ROWS = (41, 7, 300, 2)
# Not a multiple of any block length, so that the last block of a vector is cut.
_SMALL_DIM = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch in two forms, and what its loss multiplies the vectors by.

    Attributes:
        ids: int64 [batch, tables], as the bank takes them.
        positions: int64 [batch, tables], where each id stands in its table's pool.
        factors: float32 [batch, tables, dim]; the loss is the sum of vectors x factors.
    """

    ids: Tensor
    positions: Tensor
    factors: Tensor


def small_tables(space: IdSpace) -> tuple[TableSpec, ...]:
    """Four small tables."""
    return tuple(TableSpec(name=f"t{i}", rows=n, dim=_SMALL_DIM, ids=space) for i, n in enumerate(_SMALL_ROWS))


def public_tables(space: IdSpace, *, of: str = "kaggle", scale: str = "1/100", dim: int = 4) -> tuple[TableSpec, ...]:
    """The tables of a public data set (Criteo Kaggle's 26), scaled, each with its unknown row."""
    sizes = scaled_cardinalities(of, scale)
    return tuple(TableSpec(name=f"C{i + 1}", rows=n + 1, dim=dim, ids=space) for i, n in enumerate(sizes))


def zipf_stats(tables: Sequence[TableSpec]) -> dict[str, TableStats]:
    """Zipf counts for every table; its first row is the unknown and has none."""
    return {t.name: TableStats.zipf(t.name, max(1, t.closed_rows - 1)) for t in tables}


def pools(sizing: Sizing) -> list[Tensor]:
    """Distinct ids of every table in the id space that its method wants: int64 [rows] each.

    Of a table that wants ranks and hashes, all ranks that it tells apart are among them, in no order.
    """
    found = []
    for number, name in enumerate(sizing.order):
        sized, draw = sizing.of(name), torch.Generator().manual_seed(number)
        if sized.ids == "hash63":
            found.append(torch.randint(2**63 - 1, (sized.table.rows or 500,), generator=draw))
        elif sized.ids == "head":
            hashes = torch.randint(2**63 - 1, (sized.table.closed_rows - sized.told_apart,), generator=draw)
            both = torch.cat([torch.arange(1, sized.told_apart + 1), hashes])
            found.append(both[torch.randperm(len(both), generator=draw)])
        else:
            found.append(torch.arange(sized.table.closed_rows))
    return found


def random_batch(sizing: Sizing, seed: int, rows: int = 16) -> Batch:
    """A batch with duplicates, drawn from the first half of each pool so that some rows stay untouched."""
    draw, dim = torch.Generator().manual_seed(seed), sizing.of(sizing.order[0]).table.dim
    from_pools = pools(sizing)
    positions = torch.stack(
        [torch.randint(max(1, len(pool) // 2), (rows,), generator=draw) for pool in from_pools], dim=1
    )
    positions[1] = positions[0]
    ids = torch.stack([pool[column] for pool, column in zip(from_pools, positions.T, strict=True)], dim=1)
    return Batch(ids=ids, positions=positions, factors=torch.randn(*ids.shape, dim, generator=draw))


def groups_of(bank: Bank) -> list[Group]:
    """The bank's groups, those that join others too."""
    found = list(bank.groups)
    assert all(isinstance(group, Group) for group in found)
    return found  # type: ignore[return-value]  # the line above


def learn(bank: Bank, batch: Batch) -> None:
    """One step of the plain bank loop; small matrices take a step of SGD."""
    (bank(batch.ids) * batch.factors).sum().backward()
    bank.step()
    for matrix in bank.matrices():
        assert matrix.grad is not None
        matrix.data -= 0.01 * matrix.grad
        matrix.grad = None


def storages_of(method: type[Method]) -> list[str]:
    """The storages that a method takes."""
    return [name for name in STORAGES.names() if method.traits.storages is None or name in method.traits.storages]


def kept_in(method: str, storage: str) -> str:
    """The storage, where a method takes it; else the first that it takes."""
    taken = storages_of(METHODS.get(method))
    return storage if storage in taken else taken[0]


def refusal(kind: type[Exception], call: Callable[[], object], text: str = "") -> Any:
    """The error of this kind that the call raises, with `text` in it; AssertionError if it raises none."""
    found: Exception | None = None
    try:
        call()
    except kind as error:
        found = error
    assert found is not None, f"{kind.__name__} was not raised"
    assert text in str(found), f"{text!r} is not in {found}"
    return found


def same_vectors(found: Tensor, wanted: Tensor, *, rounds: bool) -> bool:
    """Whether two float32 tensors are the same to the bit, or to a few of the last ones.

    Args:
        found, wanted: of one shape, or they are not the same.
        rounds: whether products of matrices make them (`Traits.rounds`): how many rows a product has decides, on some
            machines, in which order it is summed.
    """
    if not rounds:
        return torch.equal(found, wanted)
    return found.shape == wanted.shape and torch.allclose(found, wanted, rtol=1e-4, atol=1e-6)


class Cases:
    """What every part of the method contract shares.

    Attributes:
        method: the method under test.
        variants: options under which everything is tried; add one for each that changes how rows are found or counted.
        data: what the method's ``initialise`` needs, if anything.
    """

    method: ClassVar[type[Method]]
    variants: ClassVar[Sequence[Mapping[str, Any]]] = ({},)
    data: ClassVar[Mapping[str, Any] | None] = None
    _added: ClassVar[bool] = False

    @classmethod
    def setup_class(cls) -> None:
        """Make a method from elsewhere known by its name while its tests run."""
        cls._added = cls.method.name not in METHODS.names()
        if cls._added:
            METHODS.add(cls.method.name, cls.method)
        assert METHODS.get(cls.method.name) is cls.method, f"{cls.method.name} names another method"

    @classmethod
    def teardown_class(cls) -> None:
        """Forget it again."""
        if cls._added:
            METHODS._extra.pop(cls.method.name)

    @classmethod
    def same(cls, found: Tensor, wanted: Tensor) -> bool:
        """Whether they are the same to the bit, or to a few of the last ones where the method's traits say so."""
        return same_vectors(found, wanted, rounds=cls.method.traits.rounds)

    @classmethod
    def spaces(cls, variant: Mapping[str, Any]) -> tuple[IdSpace, ...]:
        """The id spaces that the method takes with these options: what it contains may take fewer."""
        return cls.method(**variant).traits.ids

    def sized(
        self,
        variant: Mapping[str, Any],
        space: IdSpace,
        *,
        optimizer: OptimizerSpec | None = None,
        ratio: int = 4,
        **options: Any,
    ) -> Sizing:
        """The small tables at so many times below their dense bytes, or at the method's floor."""
        tables, method = small_tables(space), of(self.method.name, {**variant, **options})
        budget_bytes = max(dense_float32_bytes(tables) // ratio, method.least_bytes(tables))
        return method.size(tables, budget_bytes, stats=zipf_stats(tables), optimizer=optimizer)

    def bank(self, sizing: Sizing, *, seed: int = 0, steps: int = 0, padding: Mapping[str, int] | None = None) -> Bank:
        """A bank in its last stage, with `steps` steps made in every stage."""
        bank: Bank | None = None
        for number, (_, stage_sizing) in enumerate(stages(sizing)):
            bank = build(stage_sizing, seed=seed, data=self.data, previous=bank, padding=padding)
            for step in range(steps):
                learn(bank, random_batch(sizing, 100 * number + step))
        assert bank is not None
        return bank
