from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pocketrec.data import value_sets as module
from pocketrec.data.dataset import Dataset
from pocketrec.data.prepare import prepare
from pocketrec.data.split import Split
from pocketrec.data.value_sets import ValueSets, sampled_rows, value_sets
from pocketrec.native.minhash import minhash
from pocketrec.native.mix import mix
from pocketrec.spec.errors import OptionError
from pocketrec.spec.schema import Field, Schema

BAGS = Schema(
    fields=(
        Field(name="who", kind="categorical"),
        Field(name="item", kind="categorical"),
        Field(name="seen", kind="categorical", many=True, separator=" ", table="item"),
    )
)


def as_dict(sets: ValueSets) -> dict[int, list[int]]:
    return {
        int(value): sets.members[sets.starts[i] : sets.starts[i + 1]].tolist() for i, value in enumerate(sets.values)
    }


def by_hand(triples: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    found: dict[int, set[int]] = {}
    for value, member in triples:
        found.setdefault(value, set()).add(member)
    return {value: sorted(found[value]) for value in sorted(found)}


@pytest.fixture
def dataset(tmp_path: Path, write_log: Callable[..., Path], all_kinds: Schema) -> Dataset:
    log = write_log(tmp_path / "log.csv", 300)
    return prepare(log, all_kinds, cache=tmp_path / "cache", split=Split.rows(train=200, validation=50, test=50))


@pytest.fixture
def bags(tmp_path: Path) -> Dataset:
    draw = np.random.default_rng(3)
    lines = ["who,item,seen"]
    for _ in range(120):
        seen = " ".join(f"i{n}" for n in draw.integers(9, size=draw.integers(4)))
        lines.append(f"{'' if draw.random() < 0.1 else 'u' + str(draw.integers(12))},i{draw.integers(9)},{seen}")
    (tmp_path / "bags.csv").write_text("\n".join(lines) + "\n")
    schema = replace(BAGS, user="who")
    return prepare(tmp_path / "bags.csv", schema, cache=tmp_path / "cache", split=Split.rows(train=120))


def test_a_sample_is_of_the_least_hashes_however_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = mix(torch.arange(1000), 4).tolist()
    expected = sorted(sorted(range(1000), key=hashes.__getitem__)[:70])
    assert sampled_rows(1000, 70, seed=4).tolist() == expected
    monkeypatch.setattr(module, "_AT_ONCE", 37)
    assert sampled_rows(1000, 70, seed=4).tolist() == expected
    assert sampled_rows(50, 70, seed=4).tolist() == list(range(50))
    assert sampled_rows(0, 1, seed=4).tolist() == []
    with pytest.raises(OptionError, match="got 0 of 5"):
        sampled_rows(5, 0, seed=0)


@pytest.mark.parametrize("rows", [60, 1000])
def test_sets_are_the_rows_that_have_the_value(dataset: Dataset, rows: int) -> None:
    found = value_sets(dataset, rows=rows, seed=2)
    chosen = sampled_rows(200, rows, seed=2)
    (batch,) = dataset.batches(("train",), batch_size=200)
    ids = batch.ids[chosen]
    columns = {"c": (0, 1), "h": (2,), "p": (3,)}
    assert set(found) == set(columns)
    for table, those in columns.items():
        pairs = [(int(ids[number, column]), number) for number in range(len(chosen)) for column in those]
        assert as_dict(found[table]) == by_hand(pairs)
        assert found[table].nbytes == sum(
            a.nbytes for a in (found[table].values, found[table].starts, found[table].members)
        )


def test_they_do_not_depend_on_how_rows_are_read(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = value_sets(dataset, rows=90, seed=1)
    monkeypatch.setattr(module, "_AT_ONCE", 16 * 7)
    for table, sets in value_sets(dataset, rows=90, seed=1).items():
        assert as_dict(sets) == as_dict(whole[table])
    more = value_sets(dataset, rows=90, seed=1, through="validation")
    assert more["c"].members.max() < 90
    assert as_dict(more["c"]) != as_dict(whole["c"])


def test_heaps_of_pairs_merge() -> None:
    draw = np.random.default_rng(0)
    values, members = draw.integers(20, size=200), draw.integers(30, size=200)
    whole = ValueSets.of(values, members)
    assert as_dict(whole) == by_hand(zip(values.tolist(), members.tolist(), strict=True))
    merged = ValueSets.of(values[:90], members[:90]).merge(ValueSets.of(values[90:], members[90:]))
    assert as_dict(merged) == as_dict(whole)
    nothing = ValueSets.of(values[:0], members[:0])
    assert as_dict(nothing) == {}
    assert as_dict(nothing.merge(whole)) == as_dict(whole)


def test_small_sets_can_be_left_out() -> None:
    sets = ValueSets.of(np.array([5, 5, 7, 9, 9, 9]), np.array([1, 2, 2, 1, 2, 3]))
    assert as_dict(sets.supported(2)) == {5: [1, 2], 9: [1, 2, 3]}
    assert as_dict(sets.supported(1)) == as_dict(sets)
    assert as_dict(sets.supported(4)) == {}


def test_values_of_one_field_share_no_row_but_those_of_bags_do(dataset: Dataset, bags: Dataset) -> None:
    """LMA shares across fields only, where every field has one value per row."""
    for sets in (value_sets(dataset)["h"], value_sets(dataset)["p"]):
        members = sets.members
        assert len(np.unique(members)) == len(members)
    members = value_sets(bags)["item"].members
    assert len(np.unique(members)) < len(members)


def test_users_take_the_place_of_rows(bags: Dataset) -> None:
    found = value_sets(bags, unit="user")
    (batch,) = bags.batches(("train",), batch_size=200)
    assert batch.user is not None
    assert batch.offsets is not None
    number = {user: n for n, user in enumerate(sorted(set(batch.user.tolist()) - {-1}))}
    pairs = []
    for column in (1, 2):
        for row, user in enumerate(batch.user.tolist()):
            first, last = batch.offsets[column * 120 + row], batch.offsets[column * 120 + row + 1]
            pairs += [(value, number[user]) for value in batch.ids[first:last].tolist() if user >= 0]
    assert as_dict(found["item"]) == by_hand(pairs)
    with pytest.raises(OptionError, match="names a user field"):
        value_sets(dataset_without_user(bags), unit="user")


def dataset_without_user(dataset: Dataset) -> Dataset:
    other = Dataset.open(dataset.path)
    other.schema = replace(other.schema, user=None)
    return other


def test_a_sample_tells_how_alike_sets_are(dataset: Dataset) -> None:
    """Jaccard similarity of the rows of two values, from a sample of rows: within four standard errors."""
    draw = np.random.default_rng(5)
    rows = 4000
    first, second = draw.random(rows) < 0.5, draw.random(rows) < 0.5
    exact = (first & second).sum() / (first | second).sum()
    chosen = sampled_rows(rows, 1000, seed=9)
    a, b = first[chosen], second[chosen]
    union = (a | b).sum()
    assert abs((a & b).sum() / union - exact) <= 4 * math.sqrt(exact * (1 - exact) / union)
    sets = ValueSets.of(np.repeat([0, 1], [a.sum(), b.sum()]), np.concatenate([np.flatnonzero(a), np.flatnonzero(b)]))
    found = minhash(torch.from_numpy(sets.starts), torch.from_numpy(sets.members), hashes=1024, seed=0)
    share = float((found[0] == found[1]).double().mean())
    within = (a & b).sum() / union
    assert abs(share - within) <= 4 * math.sqrt(within * (1 - within) / 1024)
