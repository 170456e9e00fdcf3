from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec.compress import Bank, attach, build, freeze, size
from pocketrec.compress.group import Group
from pocketrec.compress.in_float32 import float32_weights
from pocketrec.compress.method import of
from pocketrec.compress.methods.cafe_plus import METHOD
from pocketrec.compress.parts.hot_rows import (
    PAPER,
    ImplicitDecay,
    all_free,
    give_back,
    promote,
    promotions,
    take,
)
from pocketrec.compress.parts.sketch_split import sketch_of
from pocketrec.compress.storage import STORAGES as KEPT_IN
from pocketrec.native.mix import mix
from pocketrec.native.sketch import (
    empty_sketch,
    is_hot,
    is_medium,
    sketch_decay,
    sketch_errors,
    sketch_insert,
    sketch_scores,
)
from pocketrec.native.sketch_rows import demote_below
from pocketrec.native.tagged import tagged_maps
from pocketrec.spec.errors import OptionError
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import IdSpace, TableSpec
from pocketrec.testing.cases import random_batch
from pocketrec.testing.method_contract import MethodContract

DIM = 8
TABLES = (
    TableSpec(name="open", rows=None, dim=DIM, ids="hash63"),
    TableSpec(name="plain", rows=500, dim=DIM, ids="plain"),
)
STORAGES = ("float32", "int8", "int8_trained", "bfloat16_trained")


class TestCafePlus(MethodContract):
    method = METHOD
    variants = (
        {"passes": 0.0}, {"cold": "robe", "passes": 1.5, "every": 2},
        {"levels": 2, "hot": 0.3, "slots": 16, "passes": 0.0, "every": 1, "threshold": 9.0},
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
        _, order = tagged_maps(sketch_of(group_of(bank)), buckets=-(-rows // 2), rows=rows)
        exact = float32_weights(group_of(bank), "hot")[order]
        near = kept.decode(served.tensors()["0.hot"], exact.shape[1])
        assert ((near[: len(order)] - exact).abs() <= kept.step_size(exact)).all()
        assert not near[len(order) :].any()
        if storage == "float32":
            ids = random_batch(bank.sizing, 5).ids
            assert torch.equal(vectors(served, ids), vectors(bank.eval(), ids))


def sized(budget: int = 12_000, **options: Any) -> Sizing:
    return size(TABLES, budget, "cafe_plus", **options)


def group_of(bank: Bank) -> Group:
    return bank.group_of(bank.sizing.order[0])


def tell(bank: Bank, ids: Sequence[int], *, step: int, importance: Sequence[float] | None = None) -> None:
    """As if a step had looked these ids of the first table up."""
    group = group_of(bank)
    with torch.no_grad():
        group.method.after_step(
            group, step=step, ids=torch.tensor(ids), tables=torch.zeros(len(ids), dtype=torch.int64),
            importance=torch.ones(len(ids)) if importance is None else torch.tensor(importance),
        )  # fmt: skip


def hot(bank: Bank, ids: Sequence[int]) -> list[bool]:
    """Which ids of the first table have a row."""
    both = torch.stack([torch.tensor(ids), torch.zeros(len(ids), dtype=torch.int64)], dim=1)
    return (bank.addresses(both)[0][:, 0, 0] >= 0).tolist()


def vectors(bank: Bank, ids: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = bank(ids)
    return found


def some_ids(step: int) -> Tensor:
    draw = torch.Generator().manual_seed(step)
    return torch.stack([(torch.rand(128, generator=draw) ** 4 * n).long() for n in (10**5, 500)], dim=1)


def learn(bank: Bank, step: int) -> None:
    factors = torch.randn(128, 2, DIM, generator=torch.Generator().manual_seed(step))
    (bank(some_ids(step)) * factors).sum().backward()
    bank.step()


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("levels", [1, 2])
def test_promised_bytes_are_held(storage: str, levels: int) -> None:
    for budget in (3_000, 12_001, 50_000):
        sizing = sized(budget, storage=storage, levels=levels, passes=1.0)
        bank = build(sizing, seed=0)
        for step in range(3):
            learn(bank, step)
        assert bank.held_bytes() == sizing.train_bytes
        assert freeze(bank).held_bytes() == sizing.serve_bytes <= budget


def test_the_sifter_is_training_memory_and_counted() -> None:
    own, plain = sized(100_000).groups[0], size(TABLES, 100_000, "cafe", hot=0.7).groups[0]
    sifter = next(t for t in own.train if t.name == "sifter")
    rows = own.settings["hot_rows"]
    assert rows == plain.settings["hot_rows"]
    assert own.serve_bytes == plain.serve_bytes
    assert own.train_bytes == plain.train_bytes + sifter.nbytes
    assert sifter.nbytes == pytest.approx(0.1 * 4 * rows * 8, rel=0.01)


def test_who_is_rare_never_reaches_the_sketch() -> None:
    bank = build(sized(passes=3.0), seed=0)
    tell(bank, [1, 2, 3, 1, 1], step=1)
    assert hot(bank, [1, 2, 3]) == [True, False, False]
    sketch = sketch_of(group_of(bank))
    assert sketch_scores(sketch)[sketch[..., 0] != 0].tolist() == pytest.approx([3.0], rel=1e-5)
    tell(bank, [2, 2], step=2)
    assert hot(bank, [2]) == [True], "what it had before counts"
    assert sorted(sketch_scores(sketch)[sketch[..., 0] != 0].tolist()) == pytest.approx([3.0, 3.0], rel=1e-5)


def test_what_an_id_reads_does_not_change_when_it_gets_a_row() -> None:
    bank, ids = build(sized(passes=2.0), seed=0), torch.arange(500)[:, None].repeat(1, 2)
    before = vectors(bank, ids)
    tell(bank, [3, 3, 7], step=1)
    assert hot(bank, [3, 7]) == [True, False]
    assert torch.equal(vectors(bank, ids), before)


def _crowded(extra: int) -> tuple[Bank, int]:
    """A bank in whose sketch rows + extra ids have reached the threshold, none with the score of another."""
    bank = build(sized(4_000, passes=0.0, threshold=10.0, decay=1.0, slots=16, every=5), seed=0)
    rows = len(bank.tensors()["0.hot"])
    ids = torch.arange(rows + extra)
    counts = 20 + torch.arange(rows + extra)
    # a score is a count times the mean that `told` divides by; ids 10**6 and on bring the mean to 1
    tell(bank, ids.repeat_interleave(counts).tolist(), step=1)
    return bank, rows


def test_the_threshold_is_set_anew_only_when_too_many_reach_it() -> None:
    for share, anew in ((0.0, False), (0.19, False), (0.25, True)):
        bank, rows = _crowded(int(share * len(build(sized(4_000), seed=0).tensors()["0.hot"])))
        sketch, threshold = sketch_of(group_of(bank)), bank.tensors()["0.threshold"]
        reached = int((sketch_scores(sketch) >= 10.0).sum())
        assert (reached > 1.2 * rows) == anew
        tell(bank, [0], step=4)
        assert float(threshold) == 10.0, "they are counted at looks only"
        tell(bank, [0], step=5)
        assert (float(threshold) != 10.0) == anew


def test_a_new_threshold_is_the_exact_score_of_the_last_row_and_all_rows_are_given_by_it() -> None:
    bank, rows = _crowded(40)
    group = group_of(bank)
    sketch, free = sketch_of(group), group.tensor("free")
    assert int(free[0]) == 0, "first come, first served"
    tell(bank, [0], step=5)
    best = sketch_scores(sketch).reshape(-1).sort(descending=True).values
    assert float(group.tensor("threshold")) == float(best[rows - 1])
    assert not (is_hot(sketch) & (sketch_scores(sketch) < best[rows - 1])).any()
    everybody = list(range(rows + 40))
    tell(bank, everybody, step=6)
    chosen = hot(bank, everybody)
    assert sum(chosen) == rows
    assert int((sketch_scores(sketch)[is_hot(sketch)] >= best[rows - 1]).sum()) == rows
    assert int(free[0]) == 0


def test_rows_in_use_and_free_rows_are_all_rows() -> None:
    bank = build(sized(4_000, passes=1.5, every=3, decay=0.7, levels=2), seed=0)
    group = group_of(bank)
    for step in range(40):
        learn(bank, step)
        sketch, free = sketch_of(group), group.tensor("free")
        owned = sketch[..., 2][is_hot(sketch)].tolist()
        assert sorted(owned + free[1 : 1 + int(free[0])].tolist()) == list(range(len(group.tensor("hot"))))
    assert is_medium(sketch).any()


@pytest.mark.parametrize("rate", [0.5, 0.9])
def test_8_implicit_attenuation_is_an_explicit_decay_at_each_step(rate: float) -> None:
    """Scores, errors, threshold and who owns which row, across normalisations, evictions and new thresholds; no sifter,
    whose scores do not attenuate."""
    period = ImplicitDecay(rate).period
    own: dict[str, Any] = {"passes": 0.0, "threshold": 3.0, "every": 7}
    bank = build(sized(4_000, decay=rate, **own), seed=0)
    group = group_of(bank)
    implicit, seed = sketch_of(group), int(group.access.addressing[0].program(column=0, padding=-1)[4])
    explicit, free, threshold = empty_sketch(*implicit.shape[:2]), torch.zeros_like(group.tensor("free")), 3.0
    all_free(free)
    rows, evicted, anew, demoted = len(free) - 1, 0, 0, 0
    for step in range(1, 3 * period + 2):
        draw = torch.Generator().manual_seed(step)
        ids = (torch.rand(60, generator=draw) ** 2 * 400).long()
        importance = torch.rand(60, generator=draw) + 0.1  # no two scores are equal but for rounding
        tell(bank, ids.tolist(), step=step, importance=importance.tolist())
        sketch_decay(explicit, rate)
        threshold *= rate  # it is compared with scores as they are stored
        found = sketch_insert(explicit, mix(ids, seed), importance / importance.mean(), evict_hot=True)
        give_back(free, found.released[found.released >= 0])
        evicted += int((found.released >= 0).sum())
        if step % 7 == 0 and int((sketch_scores(explicit) >= threshold).sum()) > 1.2 * rows:
            threshold = float(sketch_scores(explicit).flatten().sort(descending=True).values[rows - 1])
            given_back = demote_below(explicit, threshold)
            give_back(free, given_back)
            anew, demoted = anew + 1, demoted + len(given_back)
        chosen = promotions(explicit, found, PAPER, threshold=threshold, most=int(free[0]))
        promote(explicit, found.slots[chosen], take(free, len(chosen)), PAPER)
        factor = ImplicitDecay(rate).factor(step)
        assert torch.equal(explicit[..., 0], implicit[..., 0])
        torch.testing.assert_close(sketch_scores(implicit) / factor, sketch_scores(explicit), rtol=1e-5, atol=0)
        hot_now = is_hot(implicit)
        assert torch.equal(hot_now, is_hot(explicit))
        assert torch.equal(implicit[..., 2][hot_now], explicit[..., 2][hot_now])
        torch.testing.assert_close(
            (sketch_errors(implicit) / factor)[~hot_now], sketch_errors(explicit)[~hot_now], rtol=1e-5, atol=1e-30
        )
        assert float(group.tensor("threshold")) / factor == pytest.approx(threshold, rel=1e-5)
    assert min(evicted, anew, demoted) > 0


@pytest.mark.parametrize("levels", [1, 2])
def test_a_resumed_run_goes_on_identically(levels: int) -> None:
    sizing = sized(4_000, passes=1.5, every=3, decay=0.6, levels=levels)  # with a normalisation at step 18
    through, resumed = (build(sizing, seed=0) for _ in range(2))
    for step in range(22):
        for bank in (through, resumed):
            learn(bank, step)
        resumed = attach(sizing, {name: t.clone() for name, t in resumed.tensors().items()}, form="train")
    for name, tensor in through.tensors().items():
        assert torch.equal(tensor, resumed.tensors()[name]), name


@pytest.mark.parametrize(
    "options",
    [
        {"threshold": -1.0}, {"passes": -0.5}, {"passes": float("nan")}, {"crowd": 0.9}, {"sifter": 0.0},
        {"decay": 0.0},
        {"decay": 1.5}, {"levels": 3}, {"levels": 0}, {"hot": 1.0}, {"slots": 17}, {"every": 0}, {"cold": "cafe_plus"},
        {"cold": "cafe"},
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        of("cafe_plus", options)
