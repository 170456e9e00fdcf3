from __future__ import annotations

import math

import pytest
import torch

from pocketrec.compress import Bank, build, freeze, size
from pocketrec.compress.methods.binary_code import METHOD
from pocketrec.spec.errors import BudgetTooSmall, OptionError
from pocketrec.spec.table import TableSpec
from pocketrec.testing.cases import groups_of
from pocketrec.testing.method_contract import MethodContract

ROWS_OF_1000 = {1: 20, 2: 20, 3: 3 * 8 + 2, 4: 2 * 16 + 4, 5: 32 + 32, 6: 64 + 16, 7: 128 + 8, 8: 256 + 4, 9: 512 + 2}


class TestBinaryCode(MethodContract):
    method = METHOD
    variants = ({}, {"cut": "skip"}, {"bits": 3}, {"bits": 2, "cut": "skip"})


def coded(ids: int = 1000, dim: int = 4, **options: object) -> Bank:
    """One table in as many rows as its blocks of so many bits need."""
    table = TableSpec(name="t", rows=ids, dim=dim)
    return build(size([table], "1x", "binary_code", **options), seed=0)


def places(bank: Bank, ids: int = 1000) -> list[list[int]]:
    (found,) = bank.addresses(torch.arange(ids)[:, None])
    return found[:, 0].tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(("bits", "rows"), ROWS_OF_1000.items())
def test_rows_of_a_thousand_ids(bits: int, rows: int) -> None:
    """Ten bits in blocks; the last one has no more rows than it has values below a thousand."""
    bank = coded(bits=bits)
    assert bank.sizing.of("t").settings == {"rows": rows, "blocks": -(-10 // bits), "bits": bits}
    assert bank.sizing.serve_bytes == rows * 16, "and nothing else: no seed, no map"
    assert {row for own in places(bank) for row in own} == set(range(rows)), "no row is held that nobody reads"


@pytest.mark.parametrize(
    ("bits", "rows"), [(10, 1000), (9, 32 + 32), (5, 32 + 32), (4, 16 + 8 + 8), (3, 8 + 8 + 4 + 4)]
)
def test_rows_of_bits_dealt_out_in_turn(bits: int, rows: int) -> None:
    bank = coded(bits=bits, cut="skip")
    assert bank.sizing.of("t").settings["rows"] == rows
    assert {row for own in places(bank) for row in own} == set(range(rows))


def test_an_id_is_the_sum_of_the_rows_of_its_blocks() -> None:
    bank = coded(bits=4)
    rows, ids = bank.tensors()["0.rows"], torch.arange(1000)
    expected = rows[ids % 16] + rows[16 + ids // 16 % 16] + rows[32 + ids // 256]
    torch.testing.assert_close(bank(ids[:, None])[:, 0], expected)


def test_skipped_bits_go_to_the_other_blocks() -> None:
    bank = coded(bits=5, cut="skip")
    even, odd = ([sum(x >> 2 * t + first & 1 and 1 << t for t in range(5)) for x in range(1000)] for first in (0, 1))
    assert places(bank) == [[e, 32 + o] for e, o in zip(even, odd, strict=True)]


@pytest.mark.parametrize("cut", ["succession", "skip"])
@pytest.mark.parametrize("ids", [2, 3, 17, 1000, 1024, 1025])
def test_no_two_ids_have_the_same_rows(cut: str, ids: int) -> None:
    for bits in range(1, 11):
        bank = coded(ids, bits=bits, cut=cut)
        assert len({tuple(own) for own in places(bank, ids)}) == ids
    assert len(coded(ids, bits=3, cut=cut).rows("t", 0, ids).unique(dim=0)) == ids, "nor the same vector"


def test_two_blocks_of_half_the_bits_are_two_square_roots() -> None:
    for power in (10, 14, 18):
        sizing = size([TableSpec(name="t", rows=2**power, dim=1)], "1x", "binary_code", bits=power // 2)
        assert sizing.of("t").settings["rows"] == 2 * math.isqrt(2**power)


def test_as_many_bits_as_fit_and_one_more_where_it_does() -> None:
    tables = [TableSpec(name=name, rows=1000, dim=1) for name in "ab"]
    both, one = 2 * ROWS_OF_1000[6], ROWS_OF_1000[6] + ROWS_OF_1000[7]
    for rows, bits in ((both, (6, 6)), (one - 1, (6, 6)), (one, (7, 6)), (2 * ROWS_OF_1000[7], (7, 7))):
        sizing = size(tables, 4 * rows, "binary_code")
        assert tuple(sizing.of(n).settings["bits"] for n in "ab") == bits
        assert sizing.serve_bytes == 4 * sum(ROWS_OF_1000[b] for b in bits)


def test_the_floor_is_two_rows_per_bit() -> None:
    table = TableSpec(name="t", rows=2**20, dim=4)
    assert METHOD().least_bytes([table]) == METHOD(cut="skip").least_bytes([table]) == 16 * 40
    assert METHOD(bits=10).least_bytes([table]) == 16 * 2048
    with pytest.raises(BudgetTooSmall, match="at least 640 serve bytes"):
        size([table], 639, "binary_code")


def test_small_tables_are_exact() -> None:
    tables = [TableSpec(name="large", rows=10_000, dim=4), TableSpec(name="small", rows=4, dim=4)]
    bank = build(size(tables, 16 * 300, "binary_code"), seed=0)
    assert bank.sizing.of("small").settings["blocks"] == 1
    (found,) = bank.addresses(torch.tensor([[0, i] for i in range(4)]))
    first = int(found[0, 1, 0])
    assert found[:, 1].tolist() == [[first + i, *[-1] * (found.shape[2] - 1)] for i in range(4)]
    assert build(size(tables[1:], "1x", "binary_code"), seed=0).group_of("small").access.parts == 1


@pytest.mark.parametrize("cut", ["succession", "skip"])
def test_unknown_ranks_read_the_folded_rows(cut: str) -> None:
    table = TableSpec(name="t", rows=1000, dim=4, ids="rank")
    bank = build(size([table], 640, "binary_code", cut=cut), seed=0)
    found = bank(torch.tensor([[0], [999], [1000], [1023], [2**62]]))[:, 0]
    assert torch.equal(found[2:], found[:1].expand(3, -1))
    assert not torch.equal(found[0], found[1])


def test_it_can_be_the_cold_part_of_another_method() -> None:
    tables = [TableSpec(name="t", rows=20_000, dim=16, ids="rank")]
    bank = build(size(tables, "20x", "offline_split", cold="binary_code"), seed=0)
    hot, cold = groups_of(bank)
    assert int(hot.sizing.tables[0].settings["rows"]) > 0
    assert (cold.sizing.method, cold.sizing.joins) == ("binary_code", "rest")
    ids = torch.tensor([[1], [2], [19_998], [19_999]])
    bank(ids).square().sum().backward()
    bank.step()
    found = bank.eval()(ids)[:, 0]
    assert len(found.unique(dim=0)) == 4
    torch.testing.assert_close(freeze(bank)(ids)[:, 0], found)


def test_every_block_learns_as_autograd_says() -> None:
    bank = coded(bits=4)
    ids = torch.tensor([[3], [19], [3], [999]])
    factors = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    (bank(ids)[:, 0] * factors).sum().backward()
    bank.collect()
    rows, own = bank.tensors()["0.rows"].clone().requires_grad_(), ids[:, 0]
    ((rows[own % 16] + rows[16 + own // 16 % 16] + rows[32 + own // 256]) * factors).sum().backward()
    assert rows.grad is not None
    found = torch.zeros_like(rows)
    found[bank.pending[0].addresses] = bank.pending[0].grads
    torch.testing.assert_close(found, rows.grad)


@pytest.mark.parametrize(("options", "said"), [
    ({"bits": 0}, r"bits must lie in 1\.\.60, got 0"), ({"bits": 61}, r"bits must lie in 1\.\.60, got 61"),
    ({"cut": "hash"}, "cut must be one of succession, skip, got 'hash'"),
])  # fmt: skip
def test_options_are_checked(options: dict[str, object], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        METHOD(**options)  # type: ignore[arg-type]
