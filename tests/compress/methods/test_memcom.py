from __future__ import annotations

import pytest
import torch

from pocketrec.compress import Bank, build, freeze, size
from pocketrec.compress.methods.memcom import METHOD
from pocketrec.spec.errors import BudgetTooSmall, OptionError
from pocketrec.spec.table import IdSpace, TableSpec
from pocketrec.testing.method_contract import MethodContract

DIM, IDS, ROWS = 8, 1000, 40
# Bytes of so many rows and a number per id.
BYTES = 4 * (ROWS * DIM + IDS)


class TestMEmCom(MethodContract):
    method = METHOD
    variants = ({}, {"share": "hash"})


def memcom(ids: int = IDS, budget_bytes: int = BYTES, *, space: IdSpace = "rank", **options: object) -> Bank:
    """One table whose rows and factors are far from each other."""
    bank = build(size([TableSpec(name="t", rows=ids, dim=DIM, ids=space)], budget_bytes, "memcom", **options), seed=1)
    draw = torch.Generator().manual_seed(2)
    for name in ("0.shared", "1.factors"):
        bank.tensors()[name].normal_(generator=draw)
    return bank


def rows_of(bank: Bank, ids: int = IDS) -> torch.Tensor:
    """The shared row that each id reads: int64 [ids]."""
    return bank.addresses(torch.arange(ids)[:, None])[0][:, 0, 0]


def test_the_published_bytes() -> None:
    """m d + n numbers, and nothing else: no seed, no map."""
    bank = memcom()
    assert {n: tuple(t.shape) for n, t in freeze(bank).tensors().items()} == {
        "0.shared": (ROWS, DIM), "1.factors": (IDS, 1),
    }  # fmt: skip
    assert bank.sizing.serve_bytes == BYTES == bank.sizing.budget_bytes


def test_an_id_is_its_row_times_its_number() -> None:
    bank, ids = memcom(), torch.arange(IDS)
    tensors = bank.tensors()
    expected = tensors["0.shared"][ids % ROWS] * tensors["1.factors"]
    torch.testing.assert_close(bank(ids[:, None])[:, 0], expected)


@pytest.mark.parametrize("share", ["modulo", "hash"])
def test_vectors_of_ids_that_share_a_row_are_proportional(share: str) -> None:
    bank = memcom(share=share)
    places, vectors = rows_of(bank), bank.rows("t", 0, IDS).detach()
    units = vectors / vectors.norm(dim=1, keepdim=True)
    alike = (units @ units.T).abs() > 1 - 1e-5
    assert torch.equal(alike, places[:, None] == places[None, :])
    assert len(vectors.unique(dim=0)) == IDS, "and yet no two ids have the same vector"


def test_the_most_frequent_ids_do_not_share_with_each_other() -> None:
    assert rows_of(memcom())[:ROWS].tolist() == list(range(ROWS))


def test_a_hash_shares_rows_evenly_and_without_regard_to_frequency() -> None:
    places = rows_of(memcom(share="hash"))
    loads = torch.bincount(places, minlength=ROWS)
    assert loads.tolist() == [IDS // ROWS] * ROWS
    assert places[:ROWS].tolist() != list(range(ROWS))


@pytest.mark.parametrize("share", ["modulo", "hash"])
def test_unknown_ranks_read_the_folded_row(share: str) -> None:
    bank = memcom(share=share)
    found = bank(torch.tensor([[0], [IDS - 1], [IDS], [IDS + ROWS + 3], [2**62 + 7]]))[:, 0]
    assert torch.equal(found[2:], found[:1].expand(3, -1))
    assert not torch.equal(found[0], found[1])


def test_vectors_begin_as_those_of_hashed_rows() -> None:
    sizing = size([TableSpec(name="t", rows=IDS, dim=DIM, ids="rank")], BYTES, "memcom")
    bank = build(sizing, seed=0)
    assert bank.tensors()["1.factors"].eq(1).all()
    vectors = bank.rows("t", 0, IDS)
    assert torch.equal(vectors[:ROWS], vectors[ROWS : 2 * ROWS])


def test_both_learn_as_autograd_says_of_tables_written_out() -> None:
    bank = memcom()
    ids = torch.tensor([[3], [3 + ROWS], [3], [7], [999]])
    weights = torch.randn(5, DIM, generator=torch.Generator().manual_seed(0))
    (bank(ids)[:, 0] * weights).sum().backward()
    bank.collect()
    rows, factors = (bank.tensors()[n].clone().requires_grad_() for n in ("0.shared", "1.factors"))
    whole = rows[torch.arange(IDS) % ROWS] * factors
    (whole[ids[:, 0]] * weights).sum().backward()
    for pairs, written in zip((bank.pending[0], bank.pending[1]), (rows, factors), strict=True):
        assert written.grad is not None
        found = torch.zeros_like(written)
        found[pairs.addresses] = pairs.grads
        torch.testing.assert_close(found, written.grad)
    assert sorted(bank.pending[0].addresses.tolist()) == [3, 7, 999 % ROWS]
    assert sorted(bank.pending[1].addresses.tolist()) == [3, 7, 3 + ROWS, 999]


def test_as_many_rows_as_fit_one_level_for_all_tables() -> None:
    tables = [TableSpec(name=name, rows=n, dim=DIM, ids="rank") for name, n in (("a", 500), ("b", 900), ("c", 30))]
    numbers = 30 * DIM + 1400 + 2 * 50 * DIM + DIM  # c whole; 50 rows each, and one more for the first
    sizing = size(tables, 4 * numbers + 4 * DIM - 1, "memcom")
    assert [sizing.of(t.name).settings for t in tables] == [
        {"rows": 51, "exact": False}, {"rows": 50, "exact": False}, {"rows": 30, "exact": True},
    ]  # fmt: skip
    assert sizing.serve_bytes == 4 * numbers
    assert [(g.settings["part"], g.joins) for g in sizing.groups] == [
        ("exact", "alone"), ("shared", "alone"), ("factors", "factor"),
    ]  # fmt: skip


def test_a_table_is_exact_where_sharing_would_not_make_it_smaller() -> None:
    """64 ids of eight numbers: 56 rows and 64 factors are as many bytes."""
    table = TableSpec(name="t", rows=64, dim=DIM, ids="rank")
    assert size([table], 4 * 64 * DIM - 1, "memcom").of("t").settings == {"rows": 55, "exact": False}
    sizing = size([table], 4 * 64 * DIM, "memcom")
    assert sizing.of("t").settings == {"rows": 64, "exact": True}
    assert len(sizing.groups) == 1


@pytest.mark.parametrize(("storage", "row_bytes", "factor", "factor_bytes"), [
    ("float32", 32, "float32", 4), ("bfloat16", 16, "bfloat16", 2), ("float16_trained", 16, "float16_trained", 2),
    ("int8", 16, "float16", 2), ("int8_trained", 16, "float16", 2), ("int4", 8, "float16", 2),
])  # fmt: skip
def test_factors_need_no_scale(storage: str, row_bytes: int, factor: str, factor_bytes: int) -> None:
    table = TableSpec(name="t", rows=IDS, dim=DIM, ids="rank")
    sizing = size([table], ROWS * row_bytes + IDS * factor_bytes, "memcom", storage=storage)
    assert [g.serve_bytes for g in sizing.groups] == [ROWS * row_bytes, IDS * factor_bytes]
    assert [g.options["storage"] for g in sizing.groups] == [storage, factor]


def test_below_a_number_per_id_and_a_row_per_table_it_refuses() -> None:
    tables = [TableSpec(name="a", rows=500, dim=DIM), TableSpec(name="b", rows=1, dim=DIM)]
    floor = 4 * (500 + DIM + DIM)
    assert METHOD().least_bytes(tables) == floor
    with pytest.raises(BudgetTooSmall, match=f"at least {floor:,} serve bytes"):
        size(tables, floor - 1, "memcom")


def test_options_are_checked() -> None:
    with pytest.raises(OptionError, match="share must be one of modulo, hash, got 'xor'"):
        METHOD(share="xor")  # type: ignore[arg-type]
