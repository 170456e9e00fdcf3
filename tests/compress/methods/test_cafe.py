from __future__ import annotations

import mmap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec.compress import Bank, attach, build, freeze, size
from pocketrec.compress.group import Group
from pocketrec.compress.in_float32 import float32_weights
from pocketrec.compress.method import of
from pocketrec.compress.methods.cafe import METHOD, Cafe
from pocketrec.compress.parts.sketch_split import table_seeds
from pocketrec.compress.storage import STORAGES as KEPT_IN
from pocketrec.native.mix import bucket, mix
from pocketrec.native.sketch import is_hot, sketch_find, sketch_scores
from pocketrec.native.tagged import tagged_maps
from pocketrec.spec.errors import BudgetTooSmall, OptionError
from pocketrec.spec.optimizer import OptimizerName, OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import IdSpace, TableSpec
from pocketrec.testing.cases import random_batch, zipf_stats
from pocketrec.testing.method_contract import MethodContract
from pocketrec.testing.sets import some_data

DIM = 8
TABLES = (
    TableSpec(name="ranked", rows=2000, dim=DIM, ids="rank"),
    TableSpec(name="open", rows=None, dim=DIM, ids="hash63"),
    TableSpec(name="plain", rows=500, dim=DIM, ids="plain"),
)
POLICIES = ("top_k", "paper", "pinned")
STORAGES = ("float32", "float16", "int8", "int4", "int8_trained", "bfloat16_trained")


class TestCafe(MethodContract):
    method = METHOD
    variants = (
        {}, {"cold": "quotient_remainder", "policy": "paper", "threshold": 2.0},
        {"cold": "robe", "cold_options": {"block": 2}, "every": 1, "hot": 0.3}, {"exempt_rows": 41, "slots": 8},
        {"levels": 2, "hot": 0.3, "slots": 16},
        {"levels": 2, "cold": "robe", "policy": "paper", "threshold": 9.0, "slots": 8, "every": 1},
    )  # fmt: skip

    def test_values_come_from_the_seed_alone(self, variant: Mapping[str, Any], space: IdSpace) -> None:
        """Hot rows have none until somebody owns them."""
        sizing = self.sized(variant, space)
        first, second, other = (self.bank(sizing, seed=seed).tensors() for seed in (5, 5, 6))
        assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
        assert not first["0.hot"].any()
        weights = [f"1.{spec.name}" for spec in sizing.groups[1].train if spec.role == "weights"]
        assert all((first[name] != other[name]).float().mean() > 0.9 for name in weights)

    def test_freezing_stays_within_a_step(self, variant: Mapping[str, Any], storage: str) -> None:
        """Rows are served in the order of their tags."""
        bank = self.bank(self.sized(variant, self.spaces(variant)[0], storage=storage), steps=2)
        served, rows, kept = freeze(bank), len(bank.tensors()["0.hot"]), KEPT_IN.get(storage)
        tags, order = tagged_maps(sketch_of(bank), buckets=-(-rows // 2), rows=rows)
        exact = float32_weights(group_of(bank), "hot")[order]
        near = kept.decode(served.tensors()["0.hot"], exact.shape[1])
        assert len(order) > 0
        assert ((near[: len(order)] - exact).abs() <= kept.step_size(exact)).all()
        assert not near[len(order) :].any()
        assert torch.equal(served.tensors()["0.tags"][: len(tags)], tags)
        if storage == "float32":
            ids = random_batch(bank.sizing, 5).ids
            assert torch.equal(vectors(served, ids), vectors(bank.eval(), ids))


def sized(optimizer: OptimizerName = "rowwise_adagrad", budget: int = 12_000, **options: object) -> Sizing:
    return size(TABLES, budget, "cafe", optimizer=OptimizerSpec(name=optimizer, lr=0.1), **options)


def group_of(bank: Bank) -> Group:
    return bank.group_of(bank.sizing.order[0])


def sketch_of(bank: Bank) -> Tensor:
    method = group_of(bank).method
    assert isinstance(method, Cafe)
    return bank.tensors()["0.sketch"].view(-1, method.slots, 3)


def some_ids(seed: int, rows: int = 64) -> Tensor:
    """Few ids come often."""
    draw = torch.Generator().manual_seed(seed)
    return torch.stack([(torch.rand(rows, generator=draw) ** 4 * n).long() for n in (2000, 10**6, 500)], dim=1)


def learn(bank: Bank, ids: Tensor, seed: int = 0) -> None:
    factors = torch.randn(*ids.shape, bank.sizing.of(bank.sizing.order[0]).table.dim, generator=_draw(seed))
    (bank(ids) * factors).sum().backward()  # type: ignore[no-untyped-call]
    bank.step()


def _draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def train(bank: Bank, steps: int, first: int = 0) -> Bank:
    for step in range(first, first + steps):
        learn(bank, some_ids(step), step)
    return bank


def tell(bank: Bank, ids: Sequence[int], importance: Sequence[float], *, step: int = 1, table: int = 0) -> None:
    """As if a step had touched these ids of a table."""
    group = group_of(bank)
    with torch.no_grad():
        group.method.after_step(
            group, step=step, ids=torch.tensor(ids), tables=torch.full((len(ids),), table),
            importance=torch.tensor(importance),
        )  # fmt: skip


def hot(bank: Bank, ids: Tensor) -> Tensor:
    """Which ids [batch, tables] have a row."""
    return bank.addresses(ids)[0][..., 0] >= 0


def vectors(bank: Bank, ids: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = bank(ids)
    return found


def all_ids() -> Tensor:
    """int64 [500, 3]: ids of all tables."""
    return torch.arange(500)[:, None].expand(-1, 3).contiguous()


# -- sizes ---------------------------------------------------------------------------------------------------------


def test_no_vocabulary_is_needed() -> None:
    sizing = sized()
    assert sizing.vocabulary_bytes == 0
    assert [sizing.of(t.name).ids for t in TABLES] == ["hash63", "hash63", "plain"]
    assert [(g.method, g.joins) for g in sizing.groups] == [("cafe", "alone"), ("hash_rows", "rest")]


@pytest.mark.parametrize("storage", STORAGES)
def test_promised_bytes_are_held(storage: str) -> None:
    for budget in (3_000, 12_001, 50_000):
        sizing = sized(budget=budget, storage=storage)
        bank = train(build(sizing, seed=0), 3)
        assert bank.held_bytes() == sizing.train_bytes
        assert freeze(bank).held_bytes() == sizing.serve_bytes <= budget


@pytest.mark.parametrize("storage", STORAGES)
def test_the_floor_is_exact(storage: str) -> None:
    method = of("cafe", {"storage": storage})
    floor = method.least_bytes(TABLES)
    assert method.size(TABLES, floor).serve_bytes == floor
    with pytest.raises(BudgetTooSmall):
        method.size(TABLES, floor - 1)


def test_hot_rows_take_their_share_of_the_budget_and_no_more() -> None:
    for budget in range(3_000, 3_100):
        own, _ = sized(budget=budget, hot=0.6).groups
        assert own.serve_bytes <= 0.6 * budget < own.serve_bytes + 4 * DIM + 8
        rows = own.settings["hot_rows"]
        usual = sized(budget=budget).groups[0].serve_bytes
        assert usual <= 0.9 * budget < usual + 4 * DIM + 8
        assert own.serve_bytes == rows * (4 * DIM + 4) + 4 * (-(-rows // 2) + 1) + 8, "6 bytes per row and 12"


def test_a_sketch_of_four_slots_takes_48_bytes_per_hot_row() -> None:
    own = sized(hot=0.7).groups[0]
    sketch = next(t for t in own.train if t.name == "sketch")
    assert own.settings["hot_rows"] % 2 == 0
    assert sketch.nbytes == 48 * own.settings["hot_rows"]
    assert all(t.name != "tags" for t in own.train)
    assert [t.name for t in own.serve] == ["hot", "seed", "tags"]


def test_no_more_rows_than_ids() -> None:
    tables = (TableSpec(name="a", rows=30, dim=DIM, ids="rank"), TableSpec(name="b", rows=5, dim=DIM, ids="rank"))
    assert size(tables, 100_000, "cafe").groups[0].settings["hot_rows"] == 35
    assert size(tables, 100_000, "cafe", exempt_rows=5).groups[0].settings["hot_rows"] == 30


def test_exempt_tables_are_left_to_the_cold_method() -> None:
    tables = (
        TableSpec(name="small", rows=50, dim=DIM, ids="rank"),
        TableSpec(name="big", rows=9000, dim=DIM, ids="rank"),
    )
    sizing = size(tables, 20_000, "cafe", hot=0.7, exempt_rows=50, every=2)
    assert (sizing.of("small").ids, sizing.of("small").told_apart, sizing.of("big").ids) == ("rank", 49, "hash63")
    bank = build(sizing, seed=0)
    ids = torch.randint(50, (64, 2), generator=_draw(0))
    for step in range(4):
        learn(bank, ids, step)
    assert not hot(bank, ids)[:, 0].any()
    assert hot(bank, ids)[:, 1].any()
    with torch.no_grad():
        assert torch.equal(freeze(bank)(ids), bank.eval()(ids))


@pytest.mark.parametrize(
    "options",
    [
        {"hot": 0.0}, {"hot": 1.0}, {"slots": 0}, {"slots": 17}, {"every": 0}, {"policy": "best"}, {"threshold": -1.0},
        {"hysteresis": -0.1}, {"decay": 0.0}, {"decay": 1.1}, {"exempt_rows": -1}, {"cold": "cafe"},
        {"cold_options": [1]},
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        of("cafe", options)


# -- promotion and demotion ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("storage", STORAGES)
def test_what_an_id_reads_does_not_change_when_it_gets_a_row(policy: str, storage: str) -> None:
    bank = build(sized(policy=policy, storage=storage, threshold=2.0), seed=0)
    ids = all_ids()
    before = vectors(bank, ids)
    for step in (3, 5):  # the second one is a hit
        tell(bank, [3, 3, 7, 11], [1.0, 1.0, 1.0, 1.0], step=step)
    assert int(hot(bank, ids).sum()) > 0
    assert torch.equal(vectors(bank, ids), before)


@pytest.mark.parametrize(
    ("cold", "cold_options"),
    [
        ("robe", {"block": 4}), ("quotient_remainder", {}), ("min_count", {}), ("narrow", {}), ("coded", {}),
        ("full", {}), ("lma", {}), ("offline_split", {}), ("offline_split", {"cold": "robe"}),
        ("ada_embed", {"every": 1}), ("bloom", {"weight_hashes": 0, "hashes": 2}),
    ],
)  # fmt: skip
def test_any_method_can_be_the_cold_one(cold: str, cold_options: dict[str, object]) -> None:
    tables = [TableSpec(name=f"t{i}", rows=400, dim=DIM, ids="rank") for i in range(2)]
    budget = 40_000 if cold in ("full", "narrow") else 15_000
    sizing = size(
        tables, budget, "cafe", stats=zipf_stats(tables), cold=cold, cold_options=cold_options, every=2, hot=0.3
    )
    bank = build(sizing, seed=0, data=some_data(sizing))
    ids = torch.randint(400, (64, 2), generator=_draw(1))
    before = vectors(bank, ids)
    tell(bank, ids[:, 0].tolist(), [1.0] * 64)
    assert hot(bank, ids)[:, 0].any()
    assert not hot(bank, ids)[:, 1].any()
    assert torch.equal(vectors(bank, ids), before)
    for step in range(4):
        learn(bank, ids, step)
    bank.eval()
    served = freeze(bank)
    assert served.held_bytes() == sizing.serve_bytes
    if cold != "coded":  # whose codes are another approximation
        torch.testing.assert_close(vectors(served, ids), vectors(bank, ids), atol=0.02, rtol=0)


def test_factors_cannot_be_the_cold_part() -> None:
    with pytest.raises(OptionError, match="cafe: bloom with these options cannot be a part of another method"):
        sized(cold="bloom")


def test_what_the_cold_method_needs_is_asked_for() -> None:
    method = of("cafe", {"cold": "lma"})
    assert method.traits.needs_value_sets
    assert method.value_sets() == of("lma").value_sets()
    assert of("cafe", {"cold": "min_count"}).counted(TABLES[:2]) == [TABLES[0]]
    assert not of("cafe").traits.needs_counts
    assert hash(of("cafe", {"cold_options": {"exempt_small": False}})) == hash(of("cafe"))


@pytest.mark.parametrize("optimizer", ["sgd", "rowwise_adagrad", "adagrad", "adam"])
@pytest.mark.parametrize("moves", [True, False])
def test_the_optimizers_state_moves_with_the_vector(optimizer: OptimizerName, moves: bool) -> None:
    bank = build(sized(optimizer, state_moves=moves), seed=0)
    group = group_of(bank)
    assert group.rest is not None
    draw = _draw(0)
    for tensor in (*group.state(), *group.rest.state()):
        tensor.uniform_(1.0, 2.0, generator=draw)
    ids = torch.tensor([[5, 6, 7]])
    cold = bank.addresses(ids)[1][0, :, 0]
    tell(bank, [5], [1.0])
    tell(bank, [6], [1.0], table=1)
    row, other = bank.addresses(ids)[0][0, :2, 0].tolist()
    assert row != other
    for own, shared in zip(group.state(), group.rest.state(), strict=True):
        for at, from_ in ((row, cold[0]), (other, cold[1])):
            assert torch.equal(own[at], shared[from_] if moves else torch.zeros_like(shared[from_]))


def test_state_of_what_is_no_row_begins_at_zero() -> None:
    tables = [TableSpec(name="t", rows=400, dim=DIM, ids="plain")]
    bank = build(size(tables, 8_000, "cafe", cold="robe"), seed=0)
    group = group_of(bank)
    group.state()[0].fill_(3.0)
    tell(bank, [5], [1.0])
    assert float(group.state()[0][int(bank.addresses(torch.tensor([[5]]))[0])]) == 0


def test_who_loses_its_row_reads_the_cold_part_again_and_nobody_else_changes() -> None:
    bank = build(sized(policy="pinned", threshold=2.0, every=4, decay=0.5), seed=0)
    ids = all_ids()
    cold = vectors(bank, ids)
    tell(bank, [3] * 9 + [4] * 3, [1.0] * 12, step=1)
    tell(bank, [3] * 9 + [4] * 1, [1.0] * 10, step=2)
    group = group_of(bank)
    group.tensor("hot").data += 1  # as if they had learned
    before, were = vectors(bank, ids), hot(bank, ids)[:, 0].nonzero()[:, 0].tolist()
    assert were == [3, 4]
    tell(bank, [9], [1.0], step=4)  # 18 and 4 are halved, and 2 is not below the threshold
    assert torch.equal(vectors(bank, ids), before)
    tell(bank, [9], [1.0], step=8)
    after = vectors(bank, ids)
    assert hot(bank, ids)[:, 0].nonzero()[:, 0].tolist() == [3]
    assert torch.equal(after[4, 0], cold[4, 0])
    others = torch.ones(500, 3, dtype=torch.bool)
    others[4, 0] = False
    assert torch.equal(after[others], before[others])
    assert int(bank.tensors()["0.free"][0]) == len(bank.tensors()["0.hot"]) - 1


@pytest.mark.parametrize("slots", [1, 4])
def test_6_who_is_evicted_by_a_newcomer_reads_the_cold_part_again_and_nobody_else_changes(slots: int) -> None:
    """The published rule: a newcomer takes the score of the evicted id along, is hot at once, and here gets its row."""
    bank = build(sized(policy="paper", threshold=2.0, every=10**6, slots=slots), seed=0)
    group = group_of(bank)
    home = bucket(mix(torch.arange(50_000), int(table_seeds(group)[0])), len(sketch_of(bank)))
    mates = 500 + (home[500:] == home[3]).nonzero()[:slots]  # they fill the bucket of id 3, and one more
    ids = torch.cat([all_ids(), mates.repeat(1, 3) % torch.tensor([50_000, 50_000, 500])])
    cold, elsewhere = vectors(bank, ids), int((home[:500] != home[3]).nonzero()[0])
    for often, one in enumerate([3, *mates[:-1, 0].tolist()], start=2):
        tell(bank, [one] * often, [1.0] * often, step=often)
    tell(bank, [elsewhere] * 2, [1.0] * 2, step=8)
    group.tensor("hot").data += torch.arange(1.0, 1 + len(group.tensor("hot")))[:, None]  # as if they had learned
    before, were, row = vectors(bank, ids), hot(bank, ids), int(bank.addresses(ids[3:4])[0][0, 0])
    assert int(were.sum()) == slots + 1
    assert were[3, 0]
    tell(bank, [int(mates[-1])], [1.0], step=9)
    after, now = vectors(bank, ids), hot(bank, ids)
    assert int(bank.addresses(ids[-1:])[0][0, 0]) == row, "of the newcomer"
    assert torch.equal(after[3, 0], cold[3, 0])
    assert not torch.equal(before[3, 0], cold[3, 0])
    others = torch.ones(ids.shape, dtype=torch.bool)
    others[3, 0] = False
    assert torch.equal(after[others], before[others]), "the newcomer too: its row begins with what it read"
    were[3, 0], were[-1, 0] = False, True
    assert torch.equal(now, were)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("slots", [1, 4, 16])
def test_rows_in_use_and_free_rows_are_all_rows_and_nobody_shares_one(policy: str, slots: int) -> None:
    bank = build(sized(policy=policy, slots=slots, threshold=3.0, every=3, decay=0.8, budget=4000), seed=0)
    most, moved = len(bank.tensors()["0.hot"]), set()
    for step in range(30):
        learn(bank, some_ids(step), step)
        sketch, free = sketch_of(bank), bank.tensors()["0.free"]
        owned = sketch[..., 2][is_hot(sketch)].tolist()
        unused = free[1 : 1 + int(free[0])].tolist()
        assert sorted(owned + unused) == list(range(most))
        moved.update(zip(sketch[..., 0][is_hot(sketch)].tolist(), owned, strict=True))
    assert len(moved) > (most if slots > 1 else 0), "rows move"


@pytest.mark.parametrize("policy", ["paper", "pinned"])
def test_a_look_multiplies_all_scores_and_demotes_exactly_those_below_the_threshold(policy: str) -> None:
    bank = build(sized(policy=policy, threshold=2.0, every=5, decay=0.5), seed=0)
    for step in (1, 2):
        tell(bank, list(range(40)) + list(range(20)) * 2, [1.0] * 80, step=step)
    sketch = sketch_of(bank)
    scores, were = sketch_scores(sketch).clone(), is_hot(sketch).clone()
    assert were.any()
    group = group_of(bank)
    method = group.method
    assert isinstance(method, Cafe)
    method._look(group, 5)
    assert torch.equal(sketch_scores(sketch), scores * 0.5)
    assert torch.equal(is_hot(sketch), were & (scores * 0.5 >= 2.0))
    assert (is_hot(sketch) != were).any()


def test_top_k_fills_all_rows_with_those_that_surely_had_most() -> None:
    bank = build(sized(every=1, hysteresis=0.0, decay=1.0, slots=16, budget=3000), seed=0)
    rows = len(bank.tensors()["0.hot"])
    counts = torch.arange(1, 2 * rows + 1)  # id i comes i + 1 times as often as id 0
    ids = torch.arange(2 * rows).repeat_interleave(counts)
    for step in range(1, 4):
        tell(bank, ids.tolist(), [1.0] * len(ids), step=step)
    chosen = hot(bank, torch.arange(2 * rows)[:, None].repeat(1, 3).clamp(max=499))[:, 0]
    assert int(chosen.sum()) == rows
    assert chosen[rows:].all()


def test_a_newcomer_must_be_ahead_by_the_hysteresis() -> None:
    rows = len(build(sized(budget=3000), seed=0).tensors()["0.hot"])
    found = {}
    for hysteresis in (0.0, 1.0):
        bank = build(sized(every=1, hysteresis=hysteresis, decay=1.0, slots=16, budget=3000), seed=0)
        old, new = list(range(rows)), torch.arange(1000, 1000 + rows)
        tell(bank, old * 10, [1.0] * (10 * rows), step=1)
        tell(bank, new.tolist() * 12, [1.0] * (12 * rows), step=2)
        found[hysteresis] = int(hot(bank, torch.stack([new, new, new % 500], dim=1))[:, 0].sum())
    assert found[0.0] > 0.9 * rows
    assert found[1.0] == 0


# -- importance ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2.0**-10, 2.0**10])
def test_who_is_hot_does_not_depend_on_the_scale_of_the_loss(scale: float) -> None:
    sketches = []
    for factor in (1.0, scale):
        bank = build(sized(every=2), seed=0)
        ids = some_ids(0)
        (bank(ids) * torch.randn(64, 3, DIM, generator=_draw(0)) * factor).sum().backward()
        bank.step()
        sketches.append(sketch_of(bank))
    assert torch.equal(*sketches)


def test_occurrences_of_one_batch_add_up() -> None:
    bank = build(sized(), seed=0)
    tell(bank, [5, 6, 5, 5], [1.0, 2.0, 3.0, 2.0])
    sketch = sketch_of(bank)
    found = sketch_scores(sketch)[sketch[..., 0] != 0].sort().values
    torch.testing.assert_close(found, torch.tensor([1.0, 3.0]))


def test_addresses_are_what_the_sketch_says() -> None:
    bank = train(build(sized(every=3), seed=0), 6)
    ids, group = some_ids(3), group_of(bank)
    tables = torch.arange(3).repeat(len(ids))
    slots = sketch_find(sketch_of(bank), mix(ids.reshape(-1), table_seeds(group)[tables]))
    places = torch.where(slots >= 0, sketch_of(bank).view(-1, 3)[slots.clamp(min=0), 2], -1).clamp(min=-1)
    assert torch.equal(bank.addresses(ids)[0].reshape(-1), places.long())
    assert (places >= 0).any()


# -- over time -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("storage", ["float32", "int8_trained"])
def test_a_resumed_run_goes_on_identically(policy: str, storage: str) -> None:
    sizing = sized(policy=policy, storage=storage, threshold=3.0, every=3, decay=0.9)
    through, resumed = (build(sizing, seed=0) for _ in range(2))
    for step in range(8):
        for bank in (through, resumed):
            learn(bank, some_ids(step), step)
        resumed = attach(sizing, {name: t.clone() for name, t in resumed.tensors().items()}, form="train")
    for name, tensor in through.tensors().items():
        assert torch.equal(tensor, resumed.tensors()[name]), name


@pytest.mark.parametrize("storage", STORAGES)
def test_the_frozen_bank_gives_what_the_trained_one_does(storage: str) -> None:
    bank = train(build(sized(storage=storage, every=3), seed=0), 12).eval()
    served, ids = freeze(bank), torch.cat([some_ids(step) for step in range(12)])
    found = hot(served, ids)
    assert torch.equal(found, hot(bank, ids))
    assert found.any(dim=0).all()
    limit = {"float32": 0.0, "float16": 1e-3, "int8": 0.02, "int4": 0.3}.get(storage, 0.0)
    torch.testing.assert_close(vectors(served, ids), vectors(bank, ids), atol=limit, rtol=0)


def test_rows_that_nobody_owns_are_served_as_zeros() -> None:
    bank = build(sized(), seed=0)
    bank.tensors()["0.hot"].fill_(7.0)
    tell(bank, [5, 6], [1.0, 1.0])
    served = freeze(bank).tensors()
    assert (served["0.hot"][2:] == 0).all()
    assert served["0.hot"][:2].any()
    rows = len(served["0.hot"])
    assert (served["0.tags"][-rows:] != 0).sum() == 2


@pytest.mark.slow
def test_new_ids_never_need_more_memory() -> None:
    """Ten million ids that never come again beside a few that do, then ids that training never saw."""
    bank = build(sized(every=10), seed=0)
    bytes_before, often, seen, resident = bank.held_bytes(), torch.arange(16), 0, []
    for step in range(816):
        ids = torch.randint(2**62, (1 << 13, 3), generator=_draw(step))
        ids[:, 2] %= 500
        ids[: 1 << 11] = often.repeat(1 << 7)[:, None]
        bank(ids).sum().backward()
        bank.step()
        seen += ids[1 << 11 :, :2].numel()
        resident.append(resident_bytes())
    assert seen > 10**7
    assert bank.held_bytes() == bytes_before == bank.sizing.train_bytes
    # The least of a hundred steps late and early, for a step has some MiB that come and go. Seven million new ids lie
    # between them, which are 54 MiB at 8 bytes each; less than .2 MiB was measured.
    assert min(resident[-100:]) - min(resident[100:200]) < 16 * 2**20
    assert hot(bank, often[:, None].repeat(1, 3))[:, :2].all()
    served, ids[:, :2] = freeze(bank), torch.randint(2**62, 2**63 - 1, (1 << 13, 2), generator=_draw(999))
    assert not hot(served, ids)[:, :2].any()
    assert torch.isfinite(vectors(served, ids)).all()
    assert torch.equal(vectors(served, ids), vectors(bank.eval(), ids))


def resident_bytes() -> int:
    """Of this process now; 0 where the system does not tell."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * mmap.PAGESIZE if statm.exists() else 0


def test_11_hot_ids_follow_when_other_ids_become_popular() -> None:
    """Popularity is permuted after 80 batches of 1024. 160 batches later the new favourites, as many as there are rows,
    own four rows of five. Not so where hot ids are pinned, nor by the counts of the time before."""
    rank, open_ = (TableSpec(name="t", rows=n, dim=4, ids=i) for n, i in ((20_001, "rank"), (None, "hash63")))
    weights, found, rows = 1 / torch.arange(1, 20_001).double() ** 1.2, {}, 326
    after = torch.randperm(20_000, generator=_draw(0))
    drawn = torch.multinomial(weights, 1024 * 240, replacement=True, generator=_draw(1)).view(240, 1024, 1)
    for policy, decay in (("top_k", 0.8), ("pinned", 1.0)):
        sizing = size([open_], 8_000, "cafe", policy=policy, threshold=30.0, every=10, decay=decay)
        assert sizing.groups[0].settings["hot_rows"] == rows
        bank = build(sizing, seed=0)
        for step in range(240):
            if step == 80:
                before = hot(bank, torch.arange(rows)[:, None]).float().mean()
            learn(bank, drawn[step] if step < 80 else after[drawn[step]], step)
        found[policy] = float(before), float(hot(bank, after[:rows, None]).float().mean())
    counts = drawn[:80].flatten().bincount(minlength=20_000).sort(descending=True, stable=True)
    stats = {"t": TableStats.of_counts("t", counts.values[counts.values > 0].tolist())}
    bank = build(size([rank], 8_000, "offline_split", stats=stats, hot=(16 * rows + 0.5) / 8_000), seed=0)
    # as this bank wants ids: its ranks from 1, any hash for all that is not hot
    wanted = torch.full((20_000,), 10**9)
    wanted[counts.indices[:rows]] = torch.arange(1, rows + 1)
    favourites = (torch.arange(rows), after[:rows])
    found["offline"] = tuple(float(hot(bank, wanted[ids][:, None]).float().mean()) for ids in favourites)
    # measured, with three seeds: .87 -> .83 to .84, .63 to .65 -> .29 to .30, and .92 -> .02
    assert min(found["top_k"]) > 0.8
    assert found["pinned"][1] < 0.4
    assert found["offline"][0] > 0.8
    assert found["offline"][1] < 0.1


def test_bags_are_told_apart_too() -> None:
    bank = build(sized(every=2), seed=0)
    ids = torch.tensor([1, 2, 3, 4, 5, 6, 7])
    offsets = torch.tensor([0, 2, 3, 3, 5, 6, 7])
    for _ in range(3):
        bank(ids, offsets, pool="mean").square().sum().backward()
        bank.step()
    served, both = freeze(bank), (bank(ids, offsets, pool="mean"), None)
    torch.testing.assert_close(served(ids, offsets, pool="mean"), both[0].detach())
