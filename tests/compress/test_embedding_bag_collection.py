from __future__ import annotations

import enum
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pocketrec.compress.embedding_bag_collection import EmbeddingBagCollection, EmbeddingBagConfig, KeyedVectors
from pocketrec.spec.errors import BudgetTooSmall, OptionError, UnknownName
from pocketrec.spec.optimizer import OptimizerSpec


class Keyed:
    """Stands in for torchrec's KeyedJaggedTensor; `test_jagged` has the longer one."""

    def __init__(self, bags: dict[str, list[list[int]]], *, weighted: bool = False) -> None:
        self.bags = bags
        self._weights = torch.arange(1, self.values().numel() + 1) / 4 if weighted else None

    def keys(self) -> list[str]:
        return list(self.bags)

    def values(self) -> Tensor:
        return torch.tensor([i for rows in self.bags.values() for bag in rows for i in bag], dtype=torch.int64)

    def offsets(self) -> Tensor:
        return torch.tensor([0, *(len(bag) for rows in self.bags.values() for bag in rows)]).cumsum(0)

    def weights_or_none(self) -> Tensor | None:
        return self._weights

    def stride(self) -> int:
        return len(next(iter(self.bags.values())))


def config(name: str, *features: str, pooling: Any = "sum", rows: int = 20, dim: int = 4) -> EmbeddingBagConfig:
    return EmbeddingBagConfig(
        name=name, num_embeddings=rows, embedding_dim=dim, feature_names=list(features), pooling=pooling
    )


BAGS = {"seen": [[1, 2, 2], []], "user": [[7], [8]], "other": [[99], [99]], "shown": [[2], [3]]}
TABLES = [config("item", "shown", "seen", pooling="mean"), config("user")]


def plain(collection: EmbeddingBagCollection, features: Keyed) -> dict[str, Tensor]:
    """The same by torch's own bags, one after the other; weighted when the collection is."""
    found, starts = {}, dict(zip(features.keys(), features.offsets()[:: features.stride()].tolist(), strict=False))
    for name, (feature, table) in zip(
        collection.fields, zip(collection.features, collection.fields.values(), strict=True), strict=True
    ):
        bags = features.bags[feature]
        ids, offsets = torch.tensor([i for bag in bags for i in bag]), torch.tensor([0, *map(len, bags)]).cumsum(0)
        factors = features.weights_or_none() if collection.is_weighted else None
        mean = collection._means is not None and bool(collection._means[collection.features.index(feature)])
        found[name] = nn.functional.embedding_bag(
            ids, collection.bank.rows(table, 0, 20), offsets, mode="mean" if mean else "sum", include_last_offset=True,
            per_sample_weights=None if factors is None else factors[starts[feature] : starts[feature] + len(ids)],
        )  # fmt: skip
    return found


@pytest.mark.parametrize("settings", [{}, {"method": "robe", "budget": "2x"}], ids=["full", "robe"])
def test_each_feature_reads_its_table(settings: dict[str, Any]) -> None:
    collection, features = EmbeddingBagCollection(TABLES, **settings), Keyed(BAGS)
    out = collection(features)
    assert out.keys() == ["shown", "seen", "user"]
    torch.testing.assert_close(out.to_dict(), plain(collection, features))
    served = collection.frozen()
    torch.testing.assert_close(served(features).values(), out.values())
    assert served.bank.held_bytes() == served.serve_bytes == collection.serve_bytes


def test_no_rows() -> None:
    assert EmbeddingBagCollection(TABLES)(Keyed({name: [] for name in BAGS})).values().shape == (0, 12)


def test_one_budget_holds_for_all_tables() -> None:
    tables = [config("a", rows=500), config("b", rows=500)]
    assert EmbeddingBagCollection(tables).serve_bytes == 1000 * 4 * 4
    assert EmbeddingBagCollection(tables, method="hash_rows", budget="10x", storage="int8").serve_bytes <= 1600
    with pytest.raises(BudgetTooSmall, match="at least"):
        EmbeddingBagCollection(tables, budget="10x")


@pytest.mark.parametrize("settings", [{}, {"sparse": True}, {"fused": True}], ids=["dense", "sparse", "fused"])
def test_steps_are_those_of_torchs_bags(settings: dict[str, Any]) -> None:
    collection, features = (
        EmbeddingBagCollection(TABLES, optimizer=OptimizerSpec(name="sgd", lr=0.5), **settings),
        Keyed(BAGS),
    )
    tables = {name: collection.bank.rows(name, 0, 20).clone().requires_grad_() for name in ("item", "user")}
    loss = sum(
        nn.functional.embedding_bag(
            torch.tensor([i for bag in BAGS[name] for i in bag]), tables[table],
            torch.tensor([0, *map(len, BAGS[name])]).cumsum(0), mode=mode, include_last_offset=True,
        ).square().sum()
        for name, table, mode in [("shown", "item", "mean"), ("seen", "item", "mean"), ("user", "user", "sum")]
    )  # fmt: skip
    loss.backward()
    collection(features).values().square().sum().backward()
    if "fused" in settings:
        collection.step()
    else:
        torch.optim.SGD(collection.parameters(), lr=0.5).step()
        with pytest.raises(OptionError, match="fused=True"):
            collection.step()
    for name, table in tables.items():
        torch.testing.assert_close(collection.bank.rows(name, 0, 20), table - 0.5 * table.grad)


def test_weights_are_read_when_asked_for() -> None:
    tables, features = [config("item", "shown", "seen"), config("user")], Keyed(BAGS, weighted=True)
    weighted, not_weighted = EmbeddingBagCollection(tables, True), EmbeddingBagCollection(tables)
    torch.testing.assert_close(weighted(features).to_dict(), plain(weighted, features))
    torch.testing.assert_close(not_weighted(features).values(), not_weighted(Keyed(BAGS)).values())
    with pytest.raises(OptionError, match="has no weights"):
        weighted(Keyed(BAGS))
    with pytest.raises(OptionError, match="pooling by sum"):
        EmbeddingBagCollection(TABLES, True)


def test_a_feature_of_two_tables_is_told_apart() -> None:
    collection = EmbeddingBagCollection([config("long", "item", "user"), config("short", "item", pooling="mean")])
    features = Keyed({"item": [[1, 2]], "user": [[3]]})
    out = collection(features)
    assert out.keys() == ["item@long", "user", "item@short"]
    rows = collection.bank.rows("short", 0, 20)
    torch.testing.assert_close(out["item@short"], rows[[1, 2]].mean(0, keepdim=True))
    torch.testing.assert_close(out["item@long"], collection.bank.rows("long", 0, 20)[[1, 2]].sum(0, keepdim=True))


def test_a_missing_feature_is_named() -> None:
    with pytest.raises(UnknownName, match="No feature called 'user'"):
        EmbeddingBagCollection(TABLES)(Keyed({"seen": [[1]], "shown": [[1]]}))


def test_descriptions_of_torchrec_are_taken() -> None:
    Pooling = enum.Enum("Pooling", {"SUM": "SUM", "MEAN": "MEAN", "NONE": "NONE"})
    theirs = [
        SimpleNamespace(name="t", num_embeddings=20, embedding_dim=4, feature_names=["a"], pooling=Pooling.MEAN),
        SimpleNamespace(name="u", num_embeddings=20, embedding_dim=4, feature_names=[], pooling=Pooling.SUM),
    ]
    ours = [config("t", "a", pooling="mean"), config("u")]
    features = Keyed({"a": [[1, 2]], "u": [[3, 4]]})
    assert torch.equal(
        EmbeddingBagCollection(theirs)(features).values(), EmbeddingBagCollection(ours)(features).values()
    )
    with pytest.raises(OptionError, match="'t' is pooled by none"):
        EmbeddingBagCollection([config("t", pooling=Pooling.NONE)])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(OptionError, match="twice for one feature"):
        EmbeddingBagCollection([config("t", "a", "a")])
    with pytest.raises(OptionError, match="either sparse"):
        EmbeddingBagCollection(TABLES, sparse=True, fused=True)
    with pytest.raises(OptionError, match="dim"):
        EmbeddingBagCollection([config("a", dim=4), config("b", dim=8)])
    with pytest.raises(OptionError, match="name"):
        EmbeddingBagCollection([config("a", "x"), config("a", "y")])


def test_counts_choose_what_is_kept() -> None:
    counts = {"item": torch.arange(20).flip(0), "user": torch.ones(20, dtype=torch.int64)}
    collection = EmbeddingBagCollection(TABLES, method="min_count", budget="2x", ids="rank", counts=counts)
    assert collection.sizing.of("item").told_apart > collection.sizing.of("user").told_apart


def test_a_collection_compiles_whole() -> None:
    collection, features = EmbeddingBagCollection(TABLES), Keyed(BAGS)
    torch._dynamo.reset()
    compiled = torch.compile(lambda f: collection(f).values(), backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(features), collection(features).values())


def test_keyed_vectors_answer_like_torchrecs() -> None:
    vectors = torch.arange(12.0).view(2, 2, 3)
    out = KeyedVectors(("a", "b"), vectors)
    assert torch.equal(out.values(), vectors.view(2, 6))
    assert torch.equal(out["b"], out.values()[:, 3:])
    assert torch.equal(out["b"], out.to_dict()["b"])
    assert (out.keys(), out.length_per_key(), out.offset_per_key(), out.key_dim()) == (["a", "b"], [3, 3], [0, 3, 6], 1)
    with pytest.raises(UnknownName, match="'c'"):
        out["c"]
