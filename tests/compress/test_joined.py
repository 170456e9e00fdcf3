"""Groups of the same tables: hot rows beside a cold method, asked for the rest.

What they return is compared with each part asked by itself, id by id.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from pocketrec.compress import Bank, attach, build, freeze, join, size
from pocketrec.compress.joined import LEFT_OUT, left_over, mean_factors, padding_of_rest
from pocketrec.compress.methods.offline_split import OfflineSplit
from pocketrec.compress.plain import PlainBank
from pocketrec.spec.errors import IdError, OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import Head, TableSpec
from pocketrec.testing.cases import groups_of, pools
from pocketrec.testing.materialise import dense_tables

DIM = 4
# Of each table: its rows, and the counts of its ids from rank 1 on, so that hot ids are 5, 0 and 3.
RANKED = {"a": (40, [90, 80, 70, 60, 50] + [1] * 34), "b": (30, [2] * 29), "c": (20, [88, 77, 66] + [3] * 16)}
HOT = {"a": 5, "b": 0, "c": 3}
COLD = ("hash_rows", "robe", "quotient_remainder", "tt_rec")


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def split(
    cold: str = "hash_rows", names: str = "abc", *, optimizer: OptimizerSpec | None = None, hot_rows: int = 8,
    **options: Any,
) -> Sizing:  # fmt: skip
    """The tables with so many hot rows, and some room for the others."""
    tables = [TableSpec(name=n, rows=RANKED[n][0], dim=DIM, ids="rank") for n in names]
    stats = {n: TableStats.of_counts(n, RANKED[n][1]) for n in names}
    hot_bytes = hot_rows * 4 * DIM
    rest = {"hash_rows": 8 + 9 * 4 * DIM, "robe": 8 + 4 * 50, "quotient_remainder": 1500, "tt_rec": 700}[cold]
    share = (hot_bytes + 1) / (hot_bytes + rest)
    method = OfflineSplit(cold=cold, hot=share, **options)
    return method.size(tables, hot_bytes + rest, stats=stats, optimizer=optimizer)


def mixed() -> Sizing:
    """Two units that join, their columns interleaved, between methods that stand alone."""
    users = TableSpec(name="u", rows=50, dim=DIM)
    words = TableSpec(name="w", rows=60, dim=DIM)
    parts = [split("robe", "ac"), size([users], "1x"), split("hash_rows", "b"), size([words], "3x", "robe")]
    return join(parts, "awbuc", sum(p.serve_bytes for p in parts))


def some_ids(sizing: Sizing, rows: int = 12, seed: int = 0) -> Tensor:
    found = pools(sizing)
    at = torch.Generator().manual_seed(seed)
    return torch.stack([pool[torch.randint(len(pool), (rows,), generator=at)] for pool in found], dim=1)


def vectors_of(bank: Bank, column: int, ids: Tensor) -> Tensor:
    """Each id asked by itself of each part, and put together by hand: float32 [ids, dim]."""
    unit = bank.unit_of(bank.sizing.order[column])
    place = [t.table.name for t in unit[0].sizing.tables].index(bank.sizing.order[column])
    found = []
    for id in ids.tolist():
        for group in unit:
            asked = torch.tensor([[id]])
            if int(group.addresses(asked, program=group.program_of(place))[0, 0]) >= 0:
                low = group.lookup(asked, None, None, "sum", program=group.program_of(place))[:, 0]
                found.append(group.widened(low, torch.tensor([place])))
                break
        else:
            found.append(torch.zeros(1, DIM))
    return torch.cat(found) if found else torch.zeros(0, DIM)


def bags(sizing: Sizing, batch: int = 3, seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, offsets and weights of bags of 0 to 4 ids, all bags of the first column, then of the second."""
    at = torch.Generator().manual_seed(seed)
    lengths = torch.randint(5, (len(sizing.order) * batch,), generator=at)
    ids = [
        pool[torch.randint(len(pool), (int(n),), generator=at)]
        for pool, own in zip(pools(sizing), lengths.view(-1, batch), strict=True)
        for n in own
    ]
    values = torch.cat(ids)
    return (
        values,
        torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)]),
        torch.rand(len(values), generator=at),
    )


def expected_bags(
    bank: Bank, ids: Tensor, offsets: Tensor, weights: Tensor | None = None, pool: str = "sum",
    padding: Mapping[int, int] | None = None,
) -> Tensor:  # fmt: skip
    """Pooled by the plain words; float32 [batch, columns, dim]. `padding` by column."""
    columns = len(bank.sizing.order)
    if offsets.dim() == 1:
        pairs = list(itertools.pairwise(offsets.tolist()))
    else:
        pairs = [pair for own in offsets.tolist() for pair in itertools.pairwise(own)]
    batch, found = len(pairs) // columns, []
    for number, (start, end) in enumerate(pairs):
        column, bag = number // batch, ids[start:end]
        kept = bag != (padding or {}).get(column, -1)
        vectors = vectors_of(bank, column, bag[kept])
        if weights is not None:
            vectors = vectors * weights[start:end][kept, None]
        total = vectors.sum(0)
        found.append(total / max(1, len(vectors)) if pool == "mean" else total)
    return torch.stack(found).view(columns, batch, DIM).transpose(0, 1)


# ---------------------------------------------------------------- looking up


def test_the_sizing_has_two_groups_of_the_same_tables() -> None:
    sizing = split()
    assert [(g.method, g.joins) for g in sizing.groups] == [("offline_split", "alone"), ("hash_rows", "rest")]
    assert {n: sizing.of(n).told_apart for n in "abc"} == HOT
    bank = build(sizing, seed=0)
    assert bank.id_spaces() == (Head(5), "hash63", Head(3))
    assert bank.unit_of("b") == tuple(bank.groups)
    assert bank.group_of("c") is bank.groups[0]
    assert groups_of(bank)[0].rest is bank.groups[1]
    assert bank.prepared() is None, "it is not one call"


@pytest.mark.parametrize("cold", COLD)
def test_hot_ids_read_their_row_and_all_others_the_cold_method(cold: str) -> None:
    bank = build(split(cold), seed=0).eval()
    ids = some_ids(bank.sizing, 30)
    with torch.no_grad():
        found = bank(ids)
        for column in range(3):
            torch.testing.assert_close(found[:, column], vectors_of(bank, column, ids[:, column]))
        hot_only, rest_only = (group.lookup(ids, None, None, "sum") for group in groups_of(bank))
    hot = torch.tensor(list(HOT.values()))
    is_hot = (ids >= 1) & (ids <= hot)
    assert is_hot.any()
    assert torch.equal(hot_only.any(dim=2), is_hot), "a zero for every id without a row"
    assert torch.equal(found[is_hot], hot_only[is_hot])
    assert torch.equal(found[~is_hot], rest_only[~is_hot])
    first = groups_of(bank)[0].tensor("rows")
    assert torch.equal(bank(torch.tensor([[1, 7, 3]]))[0, 0], first[0])
    assert torch.equal(bank(torch.tensor([[5, 7, 3]]))[0, [0, 2]], first[[4, 7]])


def test_the_rest_of_ranks_includes_the_unknown_and_ranks_beyond_the_rows() -> None:
    bank = build(split("quotient_remainder"), seed=0).eval()
    assert bank.id_spaces() == ("rank",) * 3
    assert bank.sizing.vocabulary_bytes == 12 * (39 + 29 + 19)
    beyond = bank(torch.tensor([[0, 0, 0], [40, 30, 20], [2**62, 2**63 - 1, 2**62 + 1]]))
    assert torch.equal(beyond[0], beyond[1])
    assert torch.equal(beyond[0], beyond[2])
    cold = groups_of(bank)[1]
    assert torch.equal(beyond[0], cold.lookup(torch.zeros(1, 3, dtype=torch.int64), None, None, "sum")[0])


@pytest.mark.parametrize("far", [2**31, 2**53 + 1, 2**62, 2**62 + 1, 2**63 - 1])
def test_no_hash_is_taken_for_an_id_that_is_left_out(far: int) -> None:
    for cold in ("hash_rows", "robe"):
        bank = build(split(cold), seed=0).eval()
        assert bank(torch.tensor([[far, far, far]])).any(dim=2).all()
    with pytest.raises(IndexError):
        bank(torch.tensor([[LEFT_OUT, 7, 3]]))
    with pytest.raises(IndexError):
        bank(torch.tensor([7, LEFT_OUT, 3]), torch.tensor([0, 1, 2, 3]))


@pytest.mark.parametrize("cold", COLD)
def test_padding_reads_zeros_hot_or_cold_and_takes_no_gradient(cold: str) -> None:
    sizing = split(cold, optimizer=OptimizerSpec(name="sgd", lr=1.0))
    pool = pools(sizing)
    cold_of_c = int(next(i for i in pool[2].tolist() if i > 3))
    padding = {"a": 2, "c": cold_of_c}  # a hot one, a cold one, and a table without
    bank, plain = build(sizing, seed=0, padding=padding), build(sizing, seed=0)
    ids = torch.tensor([[2, 9, cold_of_c], [3, 9, 1], [2**40 + 1, 8, 2]])
    if cold == "quotient_remainder":
        ids[2, 0] = 33
    with torch.no_grad():
        found, expected = bank(ids), plain(ids)
    assert not found[0, [0, 2]].any()
    expected[0, [0, 2]] = 0
    assert torch.equal(found, expected)
    before = {name: t.clone() for name, t in bank.tensors().items() if name != "steps"}
    bank(torch.tensor([[2, 9, cold_of_c]]))[:, [0, 2]].sum().backward()
    bank.step()
    assert all(torch.equal(t, bank.tensors()[name]) for name, t in before.items())


def test_pooled_and_columns_that_share_a_table() -> None:
    sizing = replace(split("robe"), order=("a", "c", "a", "b"))
    bank = build(sizing, seed=0)
    ids = torch.tensor([[1, 3, 1, 8], [9**9, 9**9, 2, 8]])
    with torch.no_grad():
        found = bank(ids)
        assert torch.equal(found[0, 0], found[0, 2])
        torch.testing.assert_close(bank.pooled(ids), found.sum(dim=1))
        for column in range(4):
            torch.testing.assert_close(found[:, column], vectors_of(bank, column, ids[:, column]))
    addresses = bank.addresses(ids)
    assert [a.shape for a in addresses] == [(2, 4, 1), (2, 4, 1)]
    assert addresses[0][..., 0].tolist() == [[0, 7, 0, -1], [-1, -1, 1, -1]]
    assert (addresses[1][..., 0] == -1).tolist() == [[True, True, True, False], [False, False, True, False]]


def test_several_units_between_groups_that_stand_alone() -> None:
    bank = build(mixed(), seed=0).eval()
    assert [g.sizing.joins for g in groups_of(bank)] == ["alone", "rest", "alone", "alone", "rest", "alone"]
    assert bank.sizing.method == "offline_split+full+robe"
    ids = some_ids(bank.sizing, 20)
    with torch.no_grad():
        found = bank(ids)
        for column in range(5):
            torch.testing.assert_close(found[:, column], vectors_of(bank, column, ids[:, column]))
            torch.testing.assert_close(found[:, column], dense_tables(bank)[column][_places(bank, column, ids)])
        torch.testing.assert_close(bank.pooled(ids), found.sum(dim=1))
    ids, offsets, _ = bags(bank.sizing)
    columns = torch.arange(5).repeat_interleave(offsets.diff().view(5, -1).sum(dim=1)).tolist()
    with torch.no_grad():
        expected = [vectors_of(bank, column, id[None])[0] for column, id in zip(columns, ids, strict=True)]
        torch.testing.assert_close(bank(ids, offsets, None, "none"), torch.stack(expected))
    with pytest.raises(IdError, match="Id 50 is not in table 'u' of 50 rows"):
        bank(torch.tensor([[1, 2, 3, 50, 5]]))
    sizing = mixed()
    a, c = (sizing.of(n).table for n in "ac")
    assert (a.rows, c.rows) == (40, 20), "a cold part has other tables; a relative budget is of these"
    relative = join([split("robe", "ac"), split("hash_rows", "b")], "abc", "1x")
    assert relative.budget_bytes == 4 * DIM * (40 + 20 + 30)


def _places(bank: Bank, column: int, ids: Tensor) -> Tensor:
    pool = pools(bank.sizing)[column]
    return (pool == ids[:, column, None]).int().argmax(dim=1)


@pytest.mark.parametrize("cold", COLD)
def test_rows_and_addresses_go_through_both_parts(cold: str) -> None:
    bank = build(split(cold), seed=0)
    if cold in ("quotient_remainder", "tt_rec"):  # which take ranks
        for name, column in zip("abc", range(3), strict=True):
            rows = RANKED[name][0]
            assert torch.equal(bank.rows(name, 0, rows), vectors_of(bank, column, torch.arange(rows)))
    else:
        assert torch.equal(bank.rows("a", 1, 6), groups_of(bank)[0].tensor("rows")[:5].detach())
        assert torch.equal(bank.rows("c", 2, 4), groups_of(bank)[0].tensor("rows")[6:8].detach())
        with pytest.raises(IdError, match=r"not within the frequent ids of table 'a', 1..5; all others are hashes"):
            bank.rows("a", 0, 6)
        with pytest.raises(IdError, match="not within the frequent ids"):
            bank.rows("a", 1, 7)
        with pytest.raises(OptionError, match="takes hashed ids"):
            bank.rows("b", 0, 1)
    ids = some_ids(bank.sizing)
    hot, rest = bank.addresses(ids)
    assert ((hot[..., 0] >= 0) != (rest[..., 0] >= 0)).all(), "each id is found by one of the two"


# ---------------------------------------------------------------- bags


@pytest.mark.parametrize("make", [lambda: split("robe"), lambda: split("quotient_remainder"), mixed])
@pytest.mark.parametrize("two", [False, True], ids=["1-D", "2-D"])
@pytest.mark.parametrize("padded", [False, True], ids=["whole", "padded"])
def test_bags_are_those_of_their_ids(make: Any, two: bool, padded: bool) -> None:
    sizing = make()
    ids, offsets, weights = bags(sizing, batch=4)
    padding: dict[str, int] = {}
    if padded:  # a hot id, and one that is cold
        padding = {"a": 2, "b": int(ids[offsets[4 * sizing.order.index("b")]])}
        ids = torch.where(torch.arange(len(ids)) % 5 == 0, 2, ids)
    bank = build(sizing, seed=0, padding=padding).eval()
    by_column = {c: padding[n] for c, n in enumerate(sizing.order) if n in padding}
    if two:
        batch = (len(offsets) - 1) // len(sizing.order)
        offsets = torch.stack([offsets[c * batch : (c + 1) * batch + 1] for c in range(len(sizing.order))])
    with torch.no_grad():
        for pool in ("sum", "mean"):
            found = bank(ids, offsets, None, pool)
            torch.testing.assert_close(found, expected_bags(bank, ids, offsets, None, pool, by_column))
        torch.testing.assert_close(
            bank(ids, offsets, weights), expected_bags(bank, ids, offsets, weights, padding=by_column)
        )
        torch.testing.assert_close(bank.pooled(ids, offsets), bank(ids, offsets).sum(dim=1))
        with pytest.raises(OptionError, match=r'in two parts, so bags cannot be pooled by "max"'):
            bank(ids, offsets, None, "max")
        for pool in ("mean", "max"):
            with pytest.raises(ValueError, match="need pooling by sum"):
                bank(ids, offsets, weights, pool)


def test_bags_that_share_values_and_values_in_no_bag() -> None:
    """What is hot in one table is cold in another: a value is looked up for every bag that it is in."""
    bank = build(split("quotient_remainder"), seed=0, padding={"c": 4}).eval()
    ids = torch.tensor([19, 1, 2, 3, 4, 5, 6])
    offsets = torch.tensor([[1, 4, 7], [2, 2, 5], [1, 6, 6]])
    with torch.no_grad():
        for pool in ("sum", "mean"):
            expected = expected_bags(bank, ids, offsets, None, pool, {2: 4})
            torch.testing.assert_close(bank(ids, offsets, None, pool), expected)
        weights = torch.rand(7)
        torch.testing.assert_close(
            bank(ids, offsets, weights), expected_bags(bank, ids, offsets, weights, padding={2: 4})
        )


def test_values_of_bags_one_by_one() -> None:
    bank = build(split("robe"), seed=0).eval()
    ids, offsets, _ = bags(bank.sizing)
    batch = (len(offsets) - 1) // 3
    columns = [i // batch for i, n in enumerate(offsets.diff().tolist()) for _ in range(n)]
    expected = [vectors_of(bank, column, id[None])[0] for column, id in zip(columns, ids, strict=True)]
    with torch.no_grad():
        torch.testing.assert_close(bank(ids, offsets, None, "none"), torch.stack(expected))


@pytest.mark.parametrize("pool", ["sum", "mean"])
@pytest.mark.parametrize("offsets", [[0, 2, 3, 2], [-1, 1, 2, 3], [0, 1, 2, 9], [[0, 1], [1, 9], [0, 1]]])
def test_wrong_offsets_are_named(offsets: list[Any], pool: Literal["sum", "mean"]) -> None:
    bank = build(split(), seed=0)
    with pytest.raises(ValueError, match=r"offsets must not fall and lie in 0\.\.3"):
        bank(torch.tensor([1, 2, 3]), torch.tensor(offsets), None, pool)


def test_keyed_input_in_another_order() -> None:
    class Keyed:
        def keys(self) -> list[str]:
            return ["c", "x", "b", "a"]

        def values(self) -> Tensor:
            return torch.tensor([1, 9**9, 4, 8, 8, 5, 2**50])

        def offsets(self) -> Tensor:
            return torch.tensor([0, 2, 2, 3, 3, 5, 5, 5, 7])

        def weights_or_none(self) -> Tensor:
            return torch.arange(7.0)

        def stride(self) -> int:
            return 2

    bank = build(split(), seed=0).eval()
    ids, offsets = torch.tensor([5, 2**50, 8, 8, 1, 9**9]), torch.tensor([0, 0, 2, 4, 4, 6, 6])
    with torch.no_grad():
        torch.testing.assert_close(bank(Keyed()), bank(ids, offsets, torch.tensor([5.0, 6, 3, 4, 0, 1])))


def test_plain_ids_keep_their_limit_in_both_parts() -> None:
    tables = [TableSpec(name="p", rows=9, dim=DIM), TableSpec(name="a", rows=40, dim=DIM, ids="rank")]
    sizing = size(tables, 800, "offline_split", stats={"a": TableStats.of_counts("a", RANKED["a"][1])})
    assert sizing.groups[0].tables[0].settings == {"rows": 0}
    for form in (build(sizing, seed=0), freeze(build(sizing, seed=0))):
        assert form(torch.tensor([[8, 1]])).any(dim=2).all()
        with pytest.raises(IdError, match="Id 9 is not in table 'p' of 9 rows"):
            form(torch.tensor([[9, 1]]))
        with pytest.raises(IdError, match="Id 9 is not in table 'p' of 9 rows"):
            form(torch.tensor([3, 9, 1]), torch.tensor([0, 2, 3]), None, "mean")


# ---------------------------------------------------------------- learning


@pytest.mark.parametrize("gradient", ["pairs", "sparse", "dense"])
@pytest.mark.parametrize("cold", COLD)
def test_each_part_learns_from_its_own_ids(gradient: Literal["pairs", "sparse", "dense"], cold: str) -> None:
    bank = build(split(cold, optimizer=OptimizerSpec(name="sgd", lr=1.0)), seed=0)
    bank.gradient = gradient
    dense, factors = dense_tables(bank), draw(30, 3, DIM)
    ids = some_ids(bank.sizing, 30)
    looked_up = torch.stack([t[_places(bank, c, ids)] for c, t in enumerate(dense)], dim=1)
    names = [(i, name) for i, group in enumerate(groups_of(bank)) for name in group.access.regions]
    parameters = [groups_of(bank)[i].tensor(name) for i, name in names]
    expected = torch.autograd.grad((looked_up * factors).sum(), parameters)
    before = [p.detach().clone() for p in parameters]
    (bank(ids) * factors).sum().backward()
    if gradient == "pairs":
        bank.step()
        moved = [(old - p.detach()) for old, p in zip(before, parameters, strict=True)]
    else:
        moved = [p.grad.to_dense() for p in parameters if p.grad is not None]
    for got, wanted in zip(moved, expected, strict=True):
        torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("pool", ["sum", "mean"])
@pytest.mark.parametrize("weighted", [False, True])
def test_bags_teach_both_parts(pool: Literal["sum", "mean"], weighted: bool) -> None:
    if pool == "mean" and weighted:
        return
    sgd = OptimizerSpec(name="sgd", lr=1.0)
    taught, reference = (build(split("robe", optimizer=sgd), seed=0, padding={"a": 2}) for _ in range(2))
    ids, offsets, weights = bags(taught.sizing, batch=4)
    factors = draw(4, 3, DIM)
    (taught(ids, offsets, weights if weighted else None, pool) * factors).sum().backward()
    taught.step()
    # the same by one value per row of the batch, with the factors that its bag gives it
    lengths = offsets.diff()
    bag = torch.arange(len(lengths)).repeat_interleave(lengths)
    column, counted = bag // 4, (ids != 2) | (bag // 4 != 0)
    count = torch.zeros(len(lengths)).index_add_(0, bag[counted], torch.ones(int(counted.sum()))).clamp(min=1)
    share = weights if weighted else 1 / count[bag] if pool == "mean" else torch.ones(len(ids))
    grid = torch.full((len(ids), 3), 2).index_put_((torch.arange(len(ids)), column), ids)
    found = reference(grid)[torch.arange(len(ids)), column]
    (found * factors.transpose(0, 1).reshape(-1, DIM)[bag] * share[:, None]).sum().backward()
    reference.step()
    for name, tensor in taught.tensors().items():
        torch.testing.assert_close(tensor, reference.tensors()[name], msg=name)


@pytest.mark.parametrize("storage", ["float32", "int8", "int8_trained", "bfloat16_trained", "alpt"])
@pytest.mark.parametrize("make", [lambda **o: split("robe", **o), lambda **o: split("hash_rows", **o)])
def test_a_resumed_bank_goes_on_to_the_same_bits(make: Any, storage: str) -> None:
    sizing = make(storage=storage)
    through, resumed = build(sizing, seed=3), build(sizing, seed=3)
    for step in range(4):
        ids, factors = some_ids(sizing, 20, seed=step), draw(20, 3, DIM, seed=step)
        for bank in (through, resumed):
            (bank(ids) * factors).sum().backward()
            bank.step()
        resumed = attach(sizing, {n: t.clone() for n, t in resumed.tensors().items()}, form="train")
    for name, tensor in through.tensors().items():
        assert torch.equal(tensor, resumed.tensors()[name]), name
    warm = build(sizing, seed=8, previous=through)
    assert all(torch.equal(t, warm.tensors()[n]) for n, t in through.tensors().items())
    served = freeze(through)
    assert served.held_bytes() == served.sizing.serve_bytes == sizing.serve_bytes
    ids = some_ids(sizing, 40, seed=9)
    exact = storage in ("float32", "bfloat16_trained")
    with torch.no_grad():
        torch.testing.assert_close(served(ids), through.eval()(ids), rtol=0, atol=0 if exact else 0.02)


def test_a_bank_of_other_groups_cannot_be_continued() -> None:
    alone = build(size([TableSpec(name="a", rows=9, dim=DIM)], "1x"), seed=0)
    with pytest.raises(OptionError, match="2 groups cannot go on from one of 1"):
        build(split(), seed=0, previous=alone)


# ---------------------------------------------------------------- copies, other memory, compilers


def test_copies_and_state_dicts() -> None:
    bank = build(mixed(), seed=0)
    ids = some_ids(bank.sizing)
    other = copy.deepcopy(bank)
    for index in (0, 3):
        assert groups_of(other)[index].rest is other.groups[index + 1]
        assert groups_of(bank)[index].rest is bank.groups[index + 1]
    assert torch.equal(other(ids), bank(ids))
    (other(ids) * draw(12, 5, DIM)).sum().backward()
    other.step()
    assert not torch.equal(other(ids), bank(ids)), "they share nothing"
    names = list(bank.state_dict())
    assert len(names) == len(set(names))
    assert not any(".rest" in name for name in names), "a part is held once"
    assert len(list(bank.parameters())) == sum(g.method.name is not None for g in groups_of(bank))
    loaded = build(mixed(), seed=7)
    assert not torch.equal(loaded(ids), other(ids))
    loaded.load_state_dict(other.state_dict())
    assert torch.equal(loaded(ids), other(ids)), "seeds of hashes came too, and what they leave out stayed"


def test_on_meta() -> None:
    bank = build(mixed(), seed=0, device="meta")
    assert bank.held_bytes() == bank.sizing.train_bytes
    assert all(p.device.type == "meta" for p in bank.parameters())


@pytest.mark.parametrize("make", [lambda: split("robe"), lambda: split("quotient_remainder"), mixed])
@pytest.mark.parametrize("storage", ["float32", "int4"])
def test_compiled_exported_and_plain_banks_give_the_same_bits(make: Any, storage: str) -> None:
    sizing = make()
    if storage != "float32" and len(sizing.order) == 3:
        sizing = split(sizing.groups[1].method, storage=storage)
    elif storage != "float32":
        return
    served = freeze(build(sizing, seed=0, padding={"a": 2}))
    ids = some_ids(sizing, 9)
    ids[4] = torch.tensor([2 if name == "a" else int(i) for name, i in zip(sizing.order, ids[4], strict=True)])
    expected = served(ids)
    torch._dynamo.reset()
    compiled = torch.compile(served, backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(ids), expected)
    assert torch.equal(compiled(ids[:5]), expected[:5])
    exported = torch.export.export(served, (ids,), dynamic_shapes=({0: torch.export.Dim("batch")},)).module()
    assert torch.equal(exported(ids), expected)
    plain = PlainBank(served)
    assert torch.equal(plain(ids), expected)
    values, offsets, weights = bags(sizing, batch=4)
    values[::3] = 2
    assert torch.equal(plain(values, offsets), served(values, offsets))
    assert torch.equal(plain(values, offsets, weights), served(values, offsets, weights))
    program = torch.export.export(plain, (ids,), dynamic_shapes=({0: torch.export.Dim("batch")},)).module()
    assert torch.equal(program(ids[:4]), expected[:4])
    with pytest.raises(RuntimeError, match="negative"):
        plain(torch.full_like(ids, LEFT_OUT))


def test_a_training_bank_compiles() -> None:
    bank, ids = build(split("robe"), seed=0).eval(), some_ids(split("robe"))
    torch._dynamo.reset()
    with torch.no_grad():
        assert torch.equal(torch.compile(bank, backend="aot_eager")(ids), bank(ids))


# ---------------------------------------------------------------- the parts themselves


def test_padding_of_the_rest_is_no_id_that_anybody_has() -> None:
    assert padding_of_rest([-1, 7, 0]) == [LEFT_OUT, 7, 0]
    assert LEFT_OUT < -1


def test_what_is_left_over() -> None:
    ids = torch.tensor([[1, 2, 3], [4, 5, 6]])
    found = torch.tensor([[7], [-1], [-1], [0]])
    assert left_over(ids, None, found, [0, 2], [LEFT_OUT, 9]).tolist() == [[LEFT_OUT, 2, 3], [4, 5, 9]]
    whole = torch.tensor([[0, 3], [-1, -1], [5, -1]])
    assert left_over(ids[:1], None, whole, [0, 1, 2], [7, 8, 9]).tolist() == [[7, 2, 9]]
    values, addresses = torch.tensor([1, 2, 3, 4]), torch.tensor([[0], [-1], [4], [4]])
    offsets = torch.tensor([0, 2, 2, 3, 4])
    assert left_over(values, offsets, addresses, [0, 1], [LEFT_OUT, 9]).tolist() == [LEFT_OUT, 2, 9, 9]
    assert left_over(values, offsets, addresses, [0, 1], [LEFT_OUT] * 2).tolist() == [LEFT_OUT, 2, LEFT_OUT, LEFT_OUT]
    assert ids.tolist() == [[1, 2, 3], [4, 5, 6]], "the ids that were asked stay what they were"


def test_factors_of_a_mean() -> None:
    ids, offsets = torch.tensor([5, 6, 6, 7, 6]), torch.tensor([0, 2, 2, 4, 5])
    assert mean_factors(ids, offsets, [-1, 6]).tolist() == [0.5, 0.5, 1.0, 1.0, 1.0]
    assert mean_factors(ids, offsets, [-1, -1]).tolist() == [0.5, 0.5, 0.5, 0.5, 1.0]
    two = torch.tensor([[0, 2], [2, 5]])
    assert torch.allclose(mean_factors(ids, two, [5, -1]), torch.tensor([1.0, 1, 1 / 3, 1 / 3, 1 / 3]))
