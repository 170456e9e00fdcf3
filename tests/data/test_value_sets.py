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


def test_large_sets_can_be_cut() -> None:
    """The members with the least hashes stay, the same ones for equal sets; cutting before merging changes nothing."""
    draw = np.random.default_rng(2)
    values, members = draw.integers(6, size=400), draw.integers(90, size=400)
    whole = ValueSets.of(values, members)
    hashes = mix(torch.arange(90), 4 ^ module._CAP).tolist()
    expected = {v: sorted(sorted(m, key=hashes.__getitem__)[:7]) for v, m in as_dict(whole).items()}
    cut = whole.capped(7, seed=4)
    assert as_dict(cut) == expected
    assert as_dict(whole.capped(1000, seed=4)) == as_dict(whole)
    assert as_dict(whole.capped(7, seed=5)) != expected
    halves = [ValueSets.of(values[part], members[part]).capped(7, seed=4) for part in (slice(150), slice(150, 400))]
    assert as_dict(halves[0].merge(halves[1]).capped(7, seed=4)) == expected
    assert as_dict(ValueSets.of(values[:0], members[:0]).capped(3, seed=0)) == {}
    with pytest.raises(OptionError, match="most_members must be 1 or more, got 0"):
        whole.capped(0, seed=0)


@pytest.mark.parametrize(
    ("first", "second", "common"),
    [(900, 900, 600), (900, 900, 90), (900, 300, 300), (900, 100, 60), (300, 300, 0), (60, 50, 40)],
)
def test_cut_sets_are_as_alike_as_the_law_says(first: int, second: int, common: int) -> None:
    """120 pairs of sets, cut to 100 members: the mean share in common, and what the docstring says of it."""
    most, found = 100, []
    union = first + second - common
    for seed in range(120):
        values = np.repeat([0, 1], [first, second])
        sets = ValueSets.of(values, np.append(np.arange(first), np.arange(first - common, union)) + 1000 * seed)
        a, b = as_dict(sets.capped(most, seed=seed)).values()
        found.append(len(set(a) & set(b)) / len(set(a) | set(b)))
    x = common * min(1, most / max(first, second))
    law, whole = x / (min(first, most) + min(second, most) - x), common / union
    # places at the end of both cuts differ: a bias of the order of 1 / sqrt(most)
    assert np.mean(found) == pytest.approx(law, abs=0.5 / math.sqrt(most) * math.sqrt(law * (1 - law)) + 0.01)
    assert 0.45 * whole <= np.mean(found) <= whole + 0.02


def test_values_are_known_by_the_ids_that_they_occur_with(dataset: Dataset) -> None:
    """Three columns of single ids and two tables that share one: every pair of column and id of the other columns."""
    found = value_sets(dataset, rows=60, seed=2, unit="context", least_lift=0)
    names = [field.name for field in dataset.schema.categorical]
    chosen = sampled_rows(200, 60, seed=2)
    (batch,) = dataset.batches(("train",), batch_size=200)
    ids = batch.ids[chosen].tolist()
    pairs = sorted({(column, row[column]) for row in ids for column in range(len(names))})
    number = {pair: n for n, pair in enumerate(pairs)}
    for table, own in {"c": (0, 1), "h": (2,), "p": (3,)}.items():
        expected = by_hand(
            (row[mine], number[other, row[other]]) for row in ids for mine in own for other in range(4) if other != mine
        )
        assert as_dict(found[table]) == expected


def test_groups_are_one_column_of_context(bags: Dataset) -> None:
    found = value_sets(bags, unit="context", context=("who",))
    (batch,) = bags.batches(("train",), batch_size=200)
    assert batch.offsets is not None
    ids, offsets = batch.ids.tolist(), batch.offsets.tolist()
    bag = [[ids[offsets[c * 120 + r] : offsets[c * 120 + r + 1]] for r in range(120)] for c in range(3)]
    number = {who: n for n, who in enumerate(sorted({who for (who,) in bag[0]}))}
    assert as_dict(found["item"]) == by_hand(
        (item, number[bag[0][r][0]]) for column in (1, 2) for r in range(120) for item in bag[column][r]
    )
    assert as_dict(found["who"]) == {}, "it stands in no other column than its own context"
    # users as the unit are the same groups, but for the missing user, which there is no unit and here an id
    assert len(found["item"].members) > len(value_sets(bags, unit="user")["item"].members)


def test_ids_that_stand_everywhere_can_be_left_out(dataset: Dataset) -> None:
    whole, some = (value_sets(dataset, unit="context", context=("p",), most_share=share) for share in (1.0, 0.16))
    (batch,) = dataset.batches(("train",), batch_size=200)
    counts = torch.bincount(batch.ids[:, 3])
    common = int((counts > 32).sum())
    assert 0 < common < 6
    assert int(whole["h"].members.max()) + 1 == 6
    assert int(some["h"].members.max()) + 1 == 6 - common


def test_ids_that_are_met_by_chance_can_be_left_out(dataset: Dataset) -> None:
    """No value meets an id a thousand times as often as chance has it, every one meets some as often."""
    most, some, none = (
        as_dict(value_sets(dataset, unit="context", context=("p",), least_lift=lift)["h"]) for lift in (0.0, 1.0, 1e3)
    )
    assert none == {}
    assert set(some) == set(most)
    assert as_dict(value_sets(dataset, unit="context", context=("p",))["h"]) == most
    assert sum(map(len, some.values())) < sum(map(len, most.values()))
    usual, told = (as_dict(value_sets(dataset, unit="context", **said)["h"]) for said in ({}, {"least_lift": 3.0}))
    assert usual == told


def test_sets_can_be_cut_where_they_are_made(dataset: Dataset) -> None:
    whole, cut = value_sets(dataset, seed=3), value_sets(dataset, seed=3, most_members=4)
    for table, sets in whole.items():
        assert as_dict(cut[table]) == as_dict(sets.capped(4, seed=3))
    assert cut["p"].nbytes < whole["p"].nbytes


def test_what_cannot_be_is_refused(dataset: Dataset) -> None:
    with pytest.raises(OptionError, match=r"Columns: c, c2, h, p"):
        value_sets(dataset, unit="context", context=("c", "x"))
    with pytest.raises(OptionError, match="must name categorical columns"):
        value_sets(dataset, unit="context", context=())
    with pytest.raises(OptionError, match="is for unit=\"context\", got unit='row'"):
        value_sets(dataset, context=("c",))
    with pytest.raises(OptionError, match="most_share must lie above 0"):
        value_sets(dataset, unit="context", most_share=0.0)
    with pytest.raises(OptionError, match="least_lift be 0 or more"):
        value_sets(dataset, unit="context", least_lift=-1.0)


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


def test_a_sample_tells_how_alike_sets_are(tmp_path: Path) -> None:
    """Jaccard similarity of the rows of two values, from samples of rows: each within four standard errors.

    Rows of one sort stand together, so that only a sample from all over the log tells.
    """
    rows, rows_with, sample, seeds = 6000, 3000, 1500, range(20)
    columns, exact = [], (0.2, 0.5, 0.8)
    for jaccard in exact:
        both, row = round(jaccard * rows_with), np.arange(rows)[::-1]
        last_of_one = (rows_with + both) // 2
        columns += [row < last_of_one, (row < both) | (last_of_one <= row) & (row < rows_with)]
    lines = ["a,b,c,d,e,f", *(",".join("xy"[has] for has in line) for line in np.stack(columns, axis=1).tolist())]
    (tmp_path / "log.csv").write_text("\n".join(lines) + "\n")
    schema = Schema(fields=tuple(Field(name=name, kind="categorical") for name in "abcdef"))
    planted = prepare(tmp_path / "log.csv", schema, cache=tmp_path / "cache", split=Split.rows(train=rows))
    (batch,) = planted.batches(("train",), batch_size=rows)
    ids = batch.ids[-1].tolist()  # the last row has the value of every column that is looked at
    found = [value_sets(planted, rows=sample, seed=seed) for seed in seeds]
    for place, jaccard in enumerate(exact):
        estimates, unions = [], []
        for sets in found:
            one, two = (set(as_dict(sets["abcdef"[c]])[ids[c]]) for c in (2 * place, 2 * place + 1))
            estimates.append(len(one & two) / len(one | two))
            unions.append(len(one | two))
            assert abs(estimates[-1] - jaccard) <= 4 * math.sqrt(jaccard * (1 - jaccard) / unions[-1])
        assert abs(np.mean(estimates) - jaccard) <= 4 * math.sqrt(jaccard * (1 - jaccard) / sum(unions))
        assert len(set(estimates)) > 1, "another seed is another sample"
        # and least hashes of the last sample's sets tell the same
        hashes = minhash(*(torch.tensor([0, len(one), len(one) + len(two)]),
                           torch.tensor([*one, *two], dtype=torch.int32)), hashes=1024, seed=0)  # fmt: skip
        share = float((hashes[0] == hashes[1]).double().mean())
        assert abs(share - estimates[-1]) <= 4 * math.sqrt(estimates[-1] * (1 - estimates[-1]) / 1024)
