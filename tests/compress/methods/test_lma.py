"""Numbers in names of tests (1 to 15) are those of the fidelity list that was made from the paper and its code."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from pocketrec.compress import Bank, attach, build, freeze, layout, size
from pocketrec.compress.methods.lma import METHOD
from pocketrec.compress.parts.signatures import chained
from pocketrec.data.prepare import prepare
from pocketrec.data.split import Split
from pocketrec.data.synthetic import SyntheticSpec, write_synthetic
from pocketrec.data.value_sets import ValueSets, value_sets
from pocketrec.native.minhash import minhash
from pocketrec.spec.errors import OptionError
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec
from pocketrec.testing.method_contract import MethodContract
from pocketrec.testing.sets import Sets

SMALL = {
    f"t{i}": Sets({v: [v // 2, v // 2 + 1, v % 7] for v in range(rows) if v % 3})
    for i, rows in enumerate((41, 7, 300, 2))
}


class TestLma(MethodContract):
    method = METHOD
    variants = ({}, {"signature": "sets", "block": 1, "power": 2, "members": 3}, {"keys": 15, "bits": 4, "picks": 8},
                {"block": 5, "sign": False}, {"own": 0.5, "unit": "context"})  # fmt: skip
    data: ClassVar[Mapping[str, Any] | None] = {"value_sets": SMALL}


def bank_of(
    *tables: Sets | ValueSets, rows: int, dim: int = 64, weights: int = 4096, seed: int = 0, block: int = 1,
    **options: Any,
) -> Bank:  # fmt: skip
    """A bank over an array of `weights` numbers; all ids below `rows` may have a signature or a set."""
    method = METHOD(block=block, share=0.5, **options)
    specs = [TableSpec(name=f"t{i}", rows=100_000, dim=dim, ids="rank") for i in range(len(tables))]
    per_id = method._per_id(dim)
    kept = len(tables) * ((rows - 1) * per_id + (4 if method.signature == "sets" else 0))
    budget = 8 + 4 * weights + kept
    stats = {t.name: TableStats(table=t.name, histogram=((9, rows - 1),)) for t in specs}
    sizing = size(specs, budget, method, stats=stats, share=(kept + 1) / (budget - 8))
    assert sizing.groups[0].settings["weights"] == weights
    assert sizing.serve_bytes == budget
    return build(sizing, seed=seed, data={"value_sets": {t.name: s for t, s in zip(specs, tables, strict=True)}})


def places(bank: Bank, ids: list[int] | Tensor, table: int = 0) -> Tensor:
    """Where the blocks of ids of one table begin: int64 [ids, blocks]."""
    asked = torch.zeros(len(ids), len(bank.sizing.order), dtype=torch.int64)
    asked[:, table] = torch.as_tensor(ids)
    return bank.addresses(asked)[0][:, table]


def alike(pairs: int, jaccard: float, size_of: int = 36) -> Sets:
    """Ids 2i + 1 and 2i + 2 have sets of this similarity; sets of other pairs have nothing in common.

    With 36 members each, similarities of .2, .5 and .8 are exact.
    """
    common = round(2 * size_of * jaccard / (1 + jaccard))
    found = {}
    for i in range(pairs):
        first = i * 4 * size_of
        shared = list(range(first, first + common))
        for which in (1, 2):
            own = first + which * size_of + 10
            found[2 * i + which] = shared + list(range(own, own + size_of - common))
    return Sets(found)


def true_jaccard(sets: Sets) -> float:
    one, two = set(sets.of[1]), set(sets.of[2])
    return len(one & two) / len(one | two)


def fractions(bank: Bank, pairs: int) -> Tensor:
    """Share of places that each pair has in common: float64 [pairs]."""
    found = places(bank, list(range(1, 2 * pairs + 1)))
    return (found[0::2] == found[1::2]).double().mean(dim=1)


def enough(law: float, dim: int) -> int:
    """Pairs of which 20 % is four standard errors of the variance of their shares, but not less than 600.

    A share is the mean of `dim` coins. The rarer its heads, the heavier its tail, and the more its variance scatters.
    """
    tail = (1 / (law * (1 - law)) - 6) / dim
    return max(600, math.ceil((4 / 0.2) ** 2 * (2 + tail)))


@pytest.mark.parametrize("signature", ["sets", "keys"])
@pytest.mark.parametrize("power", [1, 2, 4])
@pytest.mark.parametrize("jaccard", [0.0, 0.2, 0.5, 0.8])
def test_1_and_2_places_are_shared_as_sets_are(signature: str, power: int, jaccard: float) -> None:
    dim, members, weights = 64, 36, 4096
    if not jaccard:  # the size of sets does not matter then, and among few weights there is more of chance to count
        members, weights = 3, 256
    same = jaccard**power
    if signature == "keys":
        same += (1 - same) / 2**16
    law = same + (1 - same) / weights
    pairs = enough(law, dim)
    sets = alike(pairs, jaccard, members)
    assert true_jaccard(sets) == jaccard
    found = fractions(bank_of(sets, rows=2 * pairs + 1, weights=weights, signature=signature, power=power), pairs)
    assert abs(float(found.mean()) - law) <= 4 * math.sqrt(law * (1 - law) / (dim * pairs))
    assert abs(float(found.var()) / (law * (1 - law) / dim) - 1) <= 0.2


@pytest.mark.parametrize("jaccard", [0.5, 0.8])
def test_2_the_published_compact_form_has_dependent_places(jaccard: float) -> None:
    pairs, dim = 600, 128
    sets = alike(pairs, jaccard)
    bank = bank_of(sets, rows=2 * pairs + 1, dim=dim, keys=15, bits=4, picks=8)
    assert bank.group_of("t0").tensor("signatures").numel() == 2 * pairs, "8 bytes per id"
    found, of_key = fractions(bank, pairs), true_jaccard(sets)
    of_key += (1 - of_key) / 2**4
    law = of_key**8
    assert float(found.mean()) >= law - 4 * float(found.std()) / math.sqrt(pairs)
    independent = float(found.mean()) * (1 - float(found.mean())) / dim
    assert float(found.var()) >= 5 * independent


@pytest.mark.parametrize(("jaccard", "power", "law"), [(0.2, 1, 0.2002), (0.5, 2, 0.2502), (0.8, 4, 0.4097)])
def test_3_cosines_follow_the_similarity(jaccard: float, power: int, law: float) -> None:
    """The laws are numbers of the list. Ours is the uniform start; that of -1 and 1 has a law for the spread, too."""
    pairs, dim, weights = 600, 64, 4096
    assert law == pytest.approx(jaccard**power + (1 - jaccard**power) / weights, abs=5e-5)
    sets = alike(pairs, jaccard)
    bank = bank_of(sets, rows=2 * pairs + 1, weights=weights, signature="sets", power=power, sign=False).eval()
    array, ids = bank.group_of("t0").tensor("array").data, torch.arange(1, 2 * pairs + 1)[:, None]

    def cosines() -> Tensor:
        vectors = bank(ids)[:, 0].double()
        return torch.cosine_similarity(vectors[0::2], vectors[1::2])

    assert float(array.std() / array.max()) == pytest.approx(1 / math.sqrt(3), rel=0.03), "uniform, as it was built"
    assert abs(float(cosines().mean()) - law) <= 0.03
    array.copy_(torch.randint(0, 2, array.shape, generator=torch.Generator().manual_seed(5)) * 2.0 - 1)
    assert abs(float(cosines().mean()) - law) <= 4 * math.sqrt((1 - law**2) / (dim * pairs))
    assert abs(float(cosines().var()) / ((1 - law**2) / dim) - 1) <= 0.25


def test_4_ids_that_never_meet_share_by_chance_only_and_those_of_two_fields_share() -> None:
    rows, dim, weights = 201, 64, 4096
    disjoint = Sets({v: list(range(10 * v, 10 * v + 10)) for v in range(1, rows)})
    bank = bank_of(disjoint, disjoint, rows=rows, signature="sets")
    one, two = places(bank, list(range(1, rows))), places(bank, list(range(1, rows)), table=1)
    first, second = torch.triu_indices(rows - 1, rows - 1, 1)
    within = (one[first] == one[second]).double().mean()
    pairs = len(first)
    assert float(within) <= 1 / weights + 4 * math.sqrt(1 / weights / (dim * pairs))
    assert torch.equal(one, two), "an id of another field with the same rows has the same places"


@pytest.mark.parametrize("signature", ["sets", "keys"])
def test_4_in_a_log_ids_share_across_fields_only(tmp_path: Path, signature: str) -> None:
    """With one value per row, two of a field never meet; those of two fields share ten times what chance has them."""
    dim, weights = 64, 2**16
    spec = SyntheticSpec(rows=4000, cardinalities=(200, 150, 100), missing=0.0)
    log = write_synthetic(tmp_path / "log.tsv", spec)
    dataset = prepare(log.path, log.schema, cache=tmp_path / "cache", split=Split.rows(train=4000))
    sets = list(value_sets(dataset, **METHOD(signature=signature).value_sets()).values())
    ids = [each.values[each.values > 0] for each in sets]
    rows = max(int(each.max()) for each in ids) + 1
    bank = bank_of(*sets, rows=rows, dim=dim, weights=weights, signature=signature, min_support=1)
    found = torch.cat([places(bank, torch.from_numpy(each), table) for table, each in enumerate(ids)])
    field = torch.repeat_interleave(torch.arange(3), torch.tensor([len(each) for each in ids]))
    one, two = torch.triu_indices(len(field), len(field), 1)
    share, same_field = (found[one] == found[two]).double().mean(dim=1), field[one] == field[two]
    within, across = float(share[same_field].mean()), float(share[~same_field].mean())
    chance = 1 / weights + (1 / 2**16 if signature == "keys" else 0)
    assert within <= chance + 4 * math.sqrt(chance / (dim * int(same_field.sum())))
    assert across >= 10 * max(within, chance)


def test_within_a_field_places_are_salted_by_table() -> None:
    sets, rows = Sets({v: [7, 9] for v in range(1, 101)}), 101
    bank = bank_of(sets, sets, rows=rows, unit="context")
    one, two = places(bank, [1, 2, 3]), places(bank, [1, 2, 3], table=1)
    assert torch.equal(one[0], one[1]), "ids of one field with one company share all their places"
    assert float((one == two).double().mean()) <= 0.05, "ids of another field share by chance"


def test_frequent_ids_own_their_weights_and_the_next_ones_have_a_signature() -> None:
    tables = [TableSpec(name=f"t{i}", rows=1000, dim=16, ids="rank") for i in range(2)]
    stats = {
        t.name: TableStats(table=t.name, histogram=((900 + i, 20), (30 + i, 400))) for i, t in enumerate(tables)
    }  # fmt: skip
    sizing = size(tables, 16_000, METHOD(own=0.2, share=0.2), stats=stats)
    settings, weights = [t.settings for t in sizing.groups[0].tables], sizing.groups[0].settings["weights"]
    own = sum(each["own"] for each in settings)
    assert own == int(0.2 * weights) // 16 == 40
    assert [each["own"] >= 20 for each in settings] == [True, True], "the frequent ones of both tables are among them"
    assert sum(each["ids"] for each in settings) == int((16_000 - 8) * 0.2) // 8
    bank = build(sizing, seed=0, data={"value_sets": {t.name: Sets({v: [1, 2] for v in range(999)}) for t in tables}})
    first, signed = settings[0]["own"], settings[0]["ids"]
    found = places(bank, list(range(1, 1000)))
    assert torch.equal(found[:first], torch.arange(16 * first).view(first, 4, 4)[:, :, 0])
    assert int(found[first:].min()) >= 16 * own, "nobody else reads what they own"
    assert bool((found[first : first + signed] == found[first]).all()), "equal sets, equal places"
    assert float((found[first + signed :] == found[first]).double().mean()) <= 0.05
    assert sizing.groups[0].tables[0].told_apart == first + signed


def test_5_equal_sets_have_equal_places_in_whatever_order() -> None:
    sets = Sets({1: [5, 9, 7], 2: [7, 5, 9], 3: [9, 9, 5, 7, 5], 4: [5, 9]})
    for signature in ("sets", "keys"):
        found = places(bank_of(sets, rows=5, signature=signature), [1, 2, 3, 4])
        assert torch.equal(found[0], found[1])
        assert torch.equal(found[0], found[2])
        assert not torch.equal(found[0], found[3])


def test_6_more_hashes_share_less() -> None:
    sets = alike(300, 0.8)
    shares = [float(fractions(bank_of(sets, rows=601, signature="sets", power=k), 300).mean()) for k in (1, 2, 4, 8)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 2 * shares[-1]


@pytest.mark.parametrize("signature", ["sets", "keys"])
def test_7_places_are_not_limited_by_the_sample(signature: str) -> None:
    """A published generator reaches no more places than there are sampled rows: 125,000 of a million here."""
    tokens, dim, weights, sample = 20_000, 128, 1_000_000, 125_000
    drawn = np.random.default_rng(11).integers(0, sample, (tokens, 5))
    sets = Sets(dict(enumerate(drawn.tolist(), start=1)))
    bank = bank_of(sets, rows=tokens + 1, dim=dim, weights=weights, signature=signature)
    seed = METHOD()._seed_of_hashes(0, 0)
    least = minhash(torch.from_numpy(sets.starts), torch.from_numpy(sets.members), hashes=dim, seed=seed)
    words = chained(least, 1) if signature == "sets" else chained(least, 1) & 0xFFFF
    distinct = sum(len(column.unique()) for column in words.T)
    reached = len(places(bank, torch.arange(1, tokens + 1)).unique())
    assert 0.9 <= reached / (weights * (1 - math.exp(-distinct / weights))) <= 1.01


@pytest.mark.parametrize("signature", ["sets", "keys"])
@pytest.mark.parametrize("sample", [100, 1_000_000])
def test_8_all_places_are_reached_whatever_the_sample(sample: int, signature: str) -> None:
    """Of one least hash each: of 100 sampled rows, 128 dimensions make words enough for 1,000 places."""
    rows, dim, weights = 3001, 128, 1000
    drawn = np.random.default_rng(3).integers(0, sample, (rows - 1, 2))
    sets = Sets(dict(enumerate(drawn.tolist(), start=1)))
    bank = bank_of(sets, rows=rows, dim=dim, weights=weights, signature=signature, power=1)
    assert torch.equal(places(bank, torch.arange(1, rows)).unique(), torch.arange(weights))


def test_9_hashed_ids_load_the_array_evenly() -> None:
    weights = 20_000
    bank = bank_of(Sets({}), rows=20_001, dim=64, weights=weights)
    load = torch.bincount(places(bank, list(range(1, 20_001))).flatten(), minlength=weights).double()
    assert 0.97 <= float(load.var() / load.mean()) <= 1.03  # the standard deviation of this ratio is .01
    assert int(load.sum()) == 20_000 * 64


def test_10_ids_without_a_large_enough_set_are_hashed_one_by_one() -> None:
    rows, dim, weights = 301, 64, 4096
    singles = Sets({v: [7] for v in range(1, rows)})
    bank, bare = bank_of(singles, rows=rows), bank_of(Sets({}), rows=rows)
    found = places(bank, list(range(1, rows)))
    assert torch.equal(found, places(bare, list(range(1, rows)))), "a set of one member counts though min_support is 2"
    one, two = torch.triu_indices(rows - 1, rows - 1, 1)
    fraction = (found[one] == found[two]).double().mean()
    assert abs(float(fraction) - 1 / weights) <= 4 * math.sqrt(1 / weights / (dim * len(one)))
    beyond = [2**40, 2**62 + 5]
    assert torch.equal(places(bank, beyond), places(bare, beyond)), "unseen ids do not depend on the sample"
    counted = places(bank_of(singles, rows=rows, min_support=1), list(range(1, rows)))
    assert torch.equal(counted[0], counted[17]), "with min_support 1 a common single row makes one vector"


def test_10_and_15_places_are_the_same_in_another_process() -> None:
    program = (
        "from tests.compress.methods.test_lma import alike, bank_of, places;"
        "print(places(bank_of(alike(3, .5), rows=7, dim=8), [1, 2, 3, 7, 99]).tolist())"
    )
    here = places(bank_of(alike(3, 0.5), rows=7, dim=8), [1, 2, 3, 7, 99]).tolist()
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == str(here)


def test_13_a_weight_that_is_used_twice_gets_both_gradients() -> None:
    bank = bank_of(Sets({}), rows=50, dim=64, weights=70, sign=False)
    found = bank(torch.tensor([[5]]))
    found.sum().backward()
    bank.collect()
    used = torch.bincount(places(bank, [5])[0], minlength=70)
    assert int(used.max()) > 1
    pairs = bank.pending[0]
    assert torch.equal(torch.zeros(70).index_add(0, pairs.addresses, pairs.grads[:, 0]), used.float())


def test_14_signatures_are_part_of_the_promise() -> None:
    tables = [TableSpec(name=f"t{i}", rows=1000, dim=16, ids="rank") for i in range(3)]
    for options in ({}, {"block": 1}, {"signature": "sets"}, {"share": 0.0}, {"words": 2}, {"own": 0.5}):
        sizing = size(tables, "10x", "lma", **options)
        held = {t.name: t.nbytes for t in sizing.groups[0].serve}
        assert sum(held.values()) == sizing.serve_bytes <= sizing.budget_bytes
        assert sizing.budget_bytes - sizing.serve_bytes < 4 + 8
        assert held["signatures"] <= max(0.25, options.get("share", 0.25)) * sizing.budget_bytes
        assert held["array"] == 4 * sizing.groups[0].settings["weights"]
        assert sizing.vocabulary_bytes == 12 * sum(t.told_apart for t in sizing.groups[0].tables)


def test_15_new_ids_move_nothing_and_what_is_saved_comes_back() -> None:
    few, many = alike(20, 0.5), alike(30, 0.5)
    before, after = bank_of(few, rows=41), bank_of(many, rows=61)
    assert torch.equal(places(before, list(range(1, 41))), places(after, list(range(1, 41))))
    frozen = freeze(before)
    again = attach(frozen.sizing, {p.name: frozen.tensors()[p.name].clone() for p in layout(frozen.sizing)})
    assert torch.equal(places(again, list(range(99))), places(before, list(range(99))))


def test_value_sets_are_asked_for() -> None:
    tables = [TableSpec(name="t", rows=100, dim=8, ids="rank")]
    with pytest.raises(OptionError, match="lma needs value sets"):
        build(size(tables, "4x", "lma"), seed=0)
    assert METHOD(unit="context", context=["a", "b"]).value_sets() == {
        "rows": 125_000, "unit": "context", "context": ("a", "b"), "least_lift": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"block": 0}, "block must be 1"),
        ({"share": 1.0}, "share must lie"),
        ({"own": -0.1}, "own must lie"),
        ({"lift": -1.0}, "lift must be 0 or more"),
        ({"signature": "words"}, "signature is keys or sets"),
        ({"unit": "day"}, "unit is row, user or context"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        METHOD(**options)
