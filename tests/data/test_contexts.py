from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from pocketrec.data import contexts as module
from pocketrec.data.contexts import Occurrences, context_pairs
from pocketrec.data.planted import PlantedLaw
from pocketrec.metrics import evaluate

Bags = list[list[int]]


def occurrences(bags: Bags) -> Occurrences:
    return Occurrences(
        values=np.array([value for bag in bags for value in bag], dtype=np.int64),
        rows=np.repeat(np.arange(len(bags)), [len(bag) for bag in bags]),
    )


def by_hand(
    columns: list[Bags], tables: list[str], context: list[int], most_share: float, least_lift: float = 0.0
) -> dict[str, list[tuple[int, int]]]:
    rows = len(columns[0])
    counts: dict[tuple[int, int], int] = {}
    for c in context:
        for bag in columns[c]:
            for value in set(bag):
                counts[c, value] = counts.get((c, value), 0) + 1
    # numbered column by column as they are named, within a column by id
    kept = sorted(
        (pair for pair, count in counts.items() if count <= most_share * rows),
        key=lambda pair: (context.index(pair[0]), pair[1]),
    )
    number = {pair: n for n, pair in enumerate(kept)}
    met: dict[str, Counter[tuple[int, int]]] = {table: Counter() for table in tables}
    times: dict[str, Counter[int]] = {table: Counter() for table in tables}
    for c, table in enumerate(tables):
        for r in range(rows):
            for value in columns[c][r]:
                times[table][value] += 1
                for other in context:
                    company = set(columns[other][r]) if other != c else set()
                    met[table].update((value, number[other, each]) for each in company if (other, each) in number)
    chance = {number[pair]: counts[pair] / rows for pair in kept}
    return {
        table: sorted(
            (value, member)
            for (value, member), count in pairs.items()
            if count >= least_lift * times[table][value] * chance[member]
        )
        for table, pairs in met.items()
    }


@pytest.fixture
def bags() -> list[Bags]:
    """Two columns of single ids, two of bags of 0 to 4."""
    draw = np.random.default_rng(1)
    single = [[[int(draw.integers(n))] for _ in range(80)] for n in (7, 30)]
    several = [[draw.integers(12, size=draw.integers(5)).tolist() for _ in range(80)] for _ in range(2)]
    return [*single, *several]


def got(
    columns: list[Bags], tables: list[str], context: list[int], most_share: float, least_lift: float = 0.0
) -> dict[str, list[tuple[int, int]]]:
    found = context_pairs(
        [occurrences(each) for each in columns], tables, context, rows=len(columns[0]), most_share=most_share,
        least_lift=least_lift,
    )  # fmt: skip
    return {table: list(zip(values.tolist(), members.tolist(), strict=True)) for table, values, members in found}


@pytest.mark.parametrize(("most_share", "least_lift"), [(1.0, 0.0), (0.12, 0.0), (1.0, 1.7)])
@pytest.mark.parametrize("context", [[0, 1, 2, 3], [0], [3, 1]])
def test_it_is_what_counting_by_hand_gives(
    bags: list[Bags], context: list[int], most_share: float, least_lift: float
) -> None:
    tables = ["a", "b", "c", "b"]
    found = got(bags, tables, context, most_share, least_lift)
    assert list(found) == ["a", "b", "c"]
    assert found == by_hand(bags, tables, context, most_share, least_lift)
    assert sum(map(len, found.values())) > 20


def test_pieces_change_nothing(bags: list[Bags], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = got(bags, ["a", "b", "c", "d"], [0, 1, 2, 3], 1.0, 1.2)
    for at_once in (1, 3, 50):
        monkeypatch.setattr(module, "_AT_ONCE", at_once)
        assert got(bags, ["a", "b", "c", "d"], [0, 1, 2, 3], 1.0, 1.2) == whole


def test_nothing_met_is_no_pairs() -> None:
    empty: Bags = [[], []]
    assert got([empty, [[3], [4]]], ["a", "b"], [0, 1], 1.0) == {"a": [], "b": []}
    assert got([[[3], [4]]], ["a"], [0], 1.0) == {"a": []}
    assert got([[[3], [4]], [[5], [6]]], ["a", "b"], [0, 1], 0.1) == {"a": [], "b": []}


def test_planted_clusters_of_one_field_are_found() -> None:
    """Values of one field share no row, but those of one cluster are met with the same ids: more alike than others."""
    law = PlantedLaw(
        cardinalities=(2000, 300, 3000, 200, 2000, 400), seed=1, zipf=1.1, clusters=8, cluster_strength=0.8,
        missing=0.0, drift=0.0,
    )  # fmt: skip
    count = 20_000
    tokens, *_ = law._values(np.arange(count), 0.0)
    columns = [Occurrences(values=tokens[:, f], rows=np.arange(count)) for f in range(6)]
    (_, values, members), *_ = context_pairs(
        columns, list("abcdef"), range(6), rows=count, most_share=1.0, least_lift=3.0
    )
    sets = {int(v): set(members[values == v].tolist()) for v in np.unique(values)}
    frequent = [v for v, n in zip(*np.unique(tokens[:, 0], return_counts=True), strict=True) if 16 <= n < 64]
    same, likeness = [], []
    for i, v in enumerate(frequent[:100]):
        for w in frequent[:i]:
            same.append(v % 8 == w % 8)
            likeness.append(len(sets[v] & sets[w]) / len(sets[v] | sets[w]))
    found, alike = np.array(likeness), np.array(same)
    assert found[alike].mean() > 1.5 * found[~alike].mean()
    auc = evaluate(alike.astype(np.float32), found).auc
    assert auc is not None
    assert auc > 0.8
