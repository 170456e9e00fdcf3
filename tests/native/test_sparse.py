"""Stores give what dense rows of the same numbers give, and refuse what would be read outside of them."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pocketrec.native import Access, Pooling, Storage, lookup, program_row
from pocketrec.native.plain_lookup import plain_lookup
from pocketrec.native.request import Request, check_request
from pocketrec.native.sparse import SPARSE, check_stores, refuse_spans, rows_between, spans_of, store_rows
from pocketrec.native.threads import use_threads
from pocketrec.spec.errors import IdError
from pocketrec.spec.sparse_sizes import rows_per_block

INDEX = {places: storage for storage, places in SPARSE.items()}
FORMS = [(1, torch.int32), (2, torch.int32), (1, torch.int64), (2, torch.int64)]


def store_of(rows: Tensor, place_bytes: int, index_dtype: torch.dtype = torch.int32) -> list[Tensor]:
    """Index and entries of float16 [rows, dim], number by number."""
    dim, per_block = rows.shape[1], rows_per_block(rows.shape[1], place_bytes)
    index, entries = [0], []
    for first in range(0, len(rows), per_block):
        block = rows[first : first + per_block].reshape(-1)
        for place in block.nonzero()[:, 0].tolist():
            value = block[place : place + 1].view(torch.uint8).tolist()
            entries.append([*place.to_bytes(place_bytes, "little"), *value])
        index.append(len(entries))
    assert store_rows(torch.tensor(index), INDEX[place_bytes], dim) >= len(rows)
    held = torch.tensor(entries, dtype=torch.uint8).reshape(-1, place_bytes + 2)
    return [torch.tensor(index, dtype=index_dtype), held]


def sparse_rows(rows: int, dim: int, density: float = 0.3, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return (torch.randn(rows, dim, generator=draw) * (torch.rand(rows, dim, generator=draw) < density)).half()


def access_of(rows: int, dim: int, storages: tuple[int, ...]) -> Access:
    return Access(torch.tensor([program_row(size=rows)]), storages, dim)


@pytest.mark.parametrize(("place_bytes", "index_dtype"), FORMS)
@pytest.mark.parametrize("dim", [1, 3, 6, 16, 17, 64, 256])
def test_every_row_is_that_of_the_table(backend: str, dim: int, place_bytes: int, index_dtype: torch.dtype) -> None:
    rows = rows_per_block(dim, 1) * 3 + 5
    for density in (0.0, 0.02, 0.3, 1.0):
        table = sparse_rows(rows, dim, density)
        store, storages = store_of(table, place_bytes, index_dtype), (INDEX[place_bytes], Storage.ENTRIES)
        ids = torch.cat([torch.arange(rows), torch.arange(rows).flip(0)])[:, None]
        assert torch.equal(lookup(store, ids, access_of(rows, dim, storages))[:, 0], table[ids[:, 0]].float())


def test_places_of_16_bits_reach_their_last(backend: str) -> None:
    dim = 300
    table = torch.zeros(2 * rows_per_block(dim, 2) + 1, dim).half()
    table[[0, 127, 128, 255, 256, 200], [0, 299, 0, 299, 7, 5]] = torch.arange(1.0, 7.0).half()
    store = store_of(table, 2)
    ids = torch.tensor([[0], [127], [128], [255], [256], [200], [1]])
    found = lookup(store, ids, access_of(len(table), dim, (Storage.SPARSE16, Storage.ENTRIES)))
    assert torch.equal(found[:, 0], table[ids[:, 0]].float())


def test_every_half_is_exact(backend: str) -> None:
    halves = torch.arange(2**16, dtype=torch.int32).to(torch.int16).view(torch.float16)
    place = torch.arange(2**16, dtype=torch.int32).to(torch.int16)
    entries = torch.stack([place, halves.view(torch.int16)], dim=1).view(torch.uint8)
    index = torch.tensor([0, 2**16], dtype=torch.int32)
    access = access_of(4096, 16, (Storage.SPARSE16, Storage.ENTRIES))
    found = lookup([index, entries], torch.arange(4096)[:, None], access).reshape(-1)
    number = ~halves.isnan()
    assert torch.equal(found[number].view(torch.int32), halves[number].float().view(torch.int32))
    assert found[~number].isnan().all()


def as_stores(call: Any, place_bytes: int, *, in_front: int) -> tuple[Any, Any]:
    """Two calls over the same numbers, most of them zero: dense, and from a store that follows some dense rows."""
    dim = call.access.dim
    rows = torch.cat(call.regions)
    rows = (rows * (torch.rand(rows.shape, generator=torch.Generator().manual_seed(5)) < 0.4)).half()
    index, entries = store_of(rows[in_front:], place_bytes)
    spare = store_rows(index, INDEX[place_bytes], dim) - (len(rows) - in_front)
    padded = torch.cat([rows, rows.new_zeros(spare, dim)])
    storages = (Storage.FLOAT, INDEX[place_bytes], Storage.ENTRIES)
    regions = [rows[:in_front].contiguous(), index, entries]
    dense = type(call)([padded], call.ids, call.access._replace(storages=(0,)), *_bags(call))
    return dense, type(call)(regions, call.ids, call.access._replace(storages=storages), *_bags(call))


def _bags(call: Any) -> tuple[Any, Any, int]:
    return call.offsets, call.weights, call.pooling


@pytest.mark.parametrize("place_bytes", [1, 2])
@pytest.mark.parametrize("group", ["rows", "sum", "product", "hashes"])
def test_every_addressing_and_combining_reads_them(
    backend: str, make_call: Callable[..., Any], group: str, place_bytes: int
) -> None:
    for pooling in (None, *Pooling):
        for weighted in {False, pooling == Pooling.SUM}:
            call = make_call(group, dim=17, pooling=pooling, weighted=weighted)
            for in_front in (0, 4, 11):
                dense, sparse = as_stores(call, place_bytes, in_front=in_front)
                expected = dense.lookup()
                assert expected.any()
                assert torch.equal(sparse.lookup(), expected)


@pytest.mark.parametrize("group", ["rows", "product"])
def test_gradients_of_what_stands_beside_them(backend: str, make_call: Callable[..., Any], group: str) -> None:
    """A store has none, but its rows are factors of others, and a factor per value multiplies them."""
    dense, sparse = as_stores(make_call(group, dim=6), 1, in_front=4)
    grad = torch.ones_like(dense.lookup())
    for expected, found in zip(dense.compact(grad), sparse.compact(grad), strict=True):
        assert torch.equal(found, expected)
    dense, sparse = as_stores(make_call(group, dim=6, pooling=Pooling.SUM, weighted=True), 1, in_front=4)
    found = []
    for call in (dense, sparse):
        call.weights = call.weights.clone().requires_grad_()
        call.lookup().sum().backward()
        found.append(call.weights.grad)
    assert torch.equal(*found)


@pytest.mark.parametrize("place_bytes", [1, 2])
def test_the_plain_lookup_and_exported_programs_read_them(make_call: Callable[..., Any], place_bytes: int) -> None:
    class Plain(torch.nn.Module):
        def __init__(self, call: Any) -> None:
            super().__init__()
            self.call, self.rows = call, call.access.program.tolist()
            for number, region in enumerate(call.regions):
                self.register_buffer(f"r{number}", region)

        def forward(self, ids: Tensor) -> Tensor:
            regions = [getattr(self, f"r{number}") for number in range(3)]
            program, storages, dim, parts, combining, maps = self.call.access
            request = Request(regions, ids, None, None, program, maps, storages, dim, parts, combining, 0)
            return plain_lookup(request, self.rows)

    _, sparse = as_stores(make_call("rows", dim=6, batch=4), place_bytes, in_front=4)
    plain, expected = Plain(sparse), sparse.lookup()
    assert torch.equal(plain(sparse.ids), expected)
    exported = torch.export.export(plain, (sparse.ids,)).module()
    assert torch.equal(exported(sparse.ids), expected)
    sparse.regions[1][1] = 10_000
    broken = Plain(sparse)
    with pytest.raises(RuntimeError, match="lie beyond those of its sparse store"):
        broken(sparse.ids)


def test_the_fake_kernel_knows_the_shape(make_call: Callable[..., Any]) -> None:
    _, sparse = as_stores(make_call("rows", dim=6), 1, in_front=4)
    program, storages, dim, parts, combining, maps = sparse.access
    arguments = (sparse.regions, sparse.ids, None, None, program, maps, storages, dim, parts, combining, 0, False)
    torch.library.opcheck(torch.ops.pocketrec.lookup_frozen.default, arguments)


# -- what must not be read --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "index",
    [[0, 5, 3, 9], [-1, 4, 6, 9], [0, 4, 6, 10], [0, 300, 4, 9], [0, 4, 2**31 - 1, 9], [2**31 - 1, -(2**31), 4, 9]],
)
@pytest.mark.parametrize("wide", [False, True])
def test_an_index_that_lies_is_refused(backend: str, index: list[int], wide: bool) -> None:
    made = torch.tensor(index, dtype=torch.int64 if wide else torch.int32)
    entries = torch.zeros(9, 3, dtype=torch.uint8)
    entries[:, 0] = torch.arange(9)
    access = access_of(48, 16, (Storage.SPARSE8, Storage.ENTRIES))
    with pytest.raises(ValueError, match="the entries of a block of a sparse store run from"):
        lookup([made, entries], torch.arange(48)[:, None], access)


def test_a_block_cannot_have_more_entries_than_numbers(backend: str) -> None:
    entries = torch.zeros(300, 3, dtype=torch.uint8)
    access = access_of(16, 16, (Storage.SPARSE8, Storage.ENTRIES))
    full, over = (torch.tensor([0, n], dtype=torch.int32) for n in (256, 257))
    lookup([full, entries], torch.tensor([[3]]), access)
    with pytest.raises(ValueError, match="run from 0 to 257; they must lie within its 300 entries"):
        lookup([over, entries], torch.tensor([[3]]), access)


def test_an_address_beyond_the_blocks_is_refused(backend: str) -> None:
    store = store_of(sparse_rows(20, 16), 1)
    access = access_of(100, 16, (Storage.SPARSE8, Storage.ENTRIES))
    assert not lookup(store, torch.tensor([[31]]), access).any(), "rows that the last block has and the table has not"
    with pytest.raises(IdError, match="address 32 lies beyond the 32 rows"):
        lookup(store, torch.tensor([[32]]), access)


def _before_a_guard(values: Tensor) -> Tensor:
    """A copy behind which lies memory that nobody may read."""
    page, size = mmap.PAGESIZE, values.numel() * values.element_size()
    memory = np.frombuffer(mmap.mmap(-1, 2 * page), dtype=np.uint8)
    assert 0 < size <= page
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(memory.ctypes.data + page), page, 0) == 0
    place = torch.from_numpy(memory)[page - size : page].view(values.dtype).view(values.shape)
    return place.copy_(values)


@pytest.mark.parametrize(("place_bytes", "index_dtype"), FORMS)
def test_nothing_outside_is_read_whatever_they_hold(compiled: None, place_bytes: int, index_dtype: torch.dtype) -> None:
    """Random bytes as entries, in no order, and an index of random numbers that mostly fit."""
    draw, dim = np.random.default_rng(0), 6
    refused = 0
    for _ in range(200):
        count, blocks = int(draw.integers(0, 40)), int(draw.integers(1, 4))
        bounds = np.sort(draw.integers(0, count + 1, blocks + 1))
        if draw.random() < 0.2:
            bounds[draw.integers(blocks + 1)] = draw.integers(-5, count + 5)
        index = _before_a_guard(torch.from_numpy(bounds).to(index_dtype))
        entries = torch.from_numpy(draw.integers(0, 256, (count, place_bytes + 2), dtype=np.uint8))
        if count:
            entries = _before_a_guard(entries)
        storages = (INDEX[place_bytes], Storage.ENTRIES)
        rows = store_rows(index, storages[0], dim)
        ids = torch.from_numpy(draw.integers(0, rows, (64, 1)))
        try:
            assert lookup([index, entries], ids, access_of(rows, dim, storages)).shape == (64, 1, dim)
        except ValueError:
            refused += 1
    assert 5 < refused < 100


def test_regions_that_are_no_store_are_refused() -> None:
    index, entries = store_of(sparse_rows(20, 16), 1)
    narrow, pair = (Storage.SPARSE8, Storage.ENTRIES), [index, entries]
    check_stores(pair, narrow, 16)
    for regions, storages, error, text in (
        ([index], narrow[:1], ValueError, "whose entries must be the next one"),
        ([index, index], (Storage.SPARSE8, Storage.SPARSE8), ValueError, "whose entries must be the next one"),
        ([entries, index], narrow[::-1], ValueError, "the region before it must be their index"),
        (pair, (Storage.SPARSE16, Storage.ENTRIES), ValueError, r"region 1 must be uint8 \[entries, 4\]"),
        ([index.float(), entries], narrow, TypeError, r"region 0 must be int32 or int64 \[blocks \+ 1\]"),
        ([index[:0], entries], narrow, ValueError, "region 0 must be int32 or int64"),
        ([index, entries.short()], narrow, TypeError, "region 1 must be uint8"),
        ([index, entries.T.contiguous().T], narrow, ValueError, "contiguous"),
    ):
        with pytest.raises(error, match=text):
            check_stores(regions, storages, 16)
    with pytest.raises(ValueError, match="places of 8 bits are too few for dim 257"):
        check_stores(pair, narrow, 257)


@pytest.mark.parametrize("combining", [3, 4])
def test_blocks_and_cores_are_not_read_from_a_store(combining: int) -> None:
    index, entries = store_of(sparse_rows(20, 16), 1)
    program, ids = torch.tensor([program_row(size=4)]), torch.zeros(1, 1, dtype=torch.int64)
    for regions, storages in (([index], [Storage.SPARSE8]), ([entries], [Storage.ENTRIES])):
        with pytest.raises(ValueError, match="cannot be read from a packed sparse store"):
            check_request(Request(regions, ids, None, None, program, None, storages, 16, 1, combining, 0))


def test_spans_are_those_of_the_rows_blocks() -> None:
    index, entries = store_of(sparse_rows(40, 16), 1)
    rows = torch.tensor([0, 15, 16, 39])
    spans = spans_of(index, entries, rows, 16)
    assert spans.begins.tolist() == [0, 0, int(index[1]), int(index[2])]
    assert spans.ends.tolist() == [int(index[1]), int(index[1]), int(index[2]), int(index[3])]
    assert spans.fits.all()
    refuse_spans(spans, entries)
    assert torch.equal(rows_between(spans, entries, rows, 16), sparse_rows(40, 16)[rows].float())


def test_backends_agree_on_threads(compiled: None) -> None:
    table = sparse_rows(3000, 16, 0.05)
    store, access = store_of(table, 2), access_of(3000, 16, (Storage.SPARSE16, Storage.ENTRIES))
    ids = torch.randint(0, 3000, (20_000, 1), generator=torch.Generator().manual_seed(0))
    found = []
    for threads in (1, 3):
        with use_threads(threads):
            found.append(lookup(store, ids, access))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0][:, 0], table[ids[:, 0]].float())
