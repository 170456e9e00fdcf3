from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from pocketrec.compress.parts import magnitude
from pocketrec.compress.parts.packed_sparse import STORE, pack, store_codes, store_holdings
from pocketrec.native import Access, Storage, lookup, program_row
from pocketrec.spec.sparse_sizes import SparseSize, rows_per_block


def table(rows: int, dim: int, density: float) -> Tensor:
    draw = torch.Generator().manual_seed(rows)
    return torch.randn(rows, dim, generator=draw) * (torch.rand(rows, dim, generator=draw) < density)


def read(store: dict[str, Tensor], size: SparseSize) -> Tensor:
    access = Access(torch.tensor([program_row(size=size.rows)]), store_codes(size), size.dim)
    return lookup([store[name] for name in STORE], torch.arange(size.rows)[:, None], access)[:, 0]


@pytest.mark.parametrize("place_bytes", [1, 2])
@pytest.mark.parametrize(("rows", "dim"), [(1, 1), (40, 6), (333, 16), (70, 200)])
def test_what_is_packed_is_read(rows: int, dim: int, place_bytes: int) -> None:
    dense = table(rows, dim, 0.3)
    count = max(1, int((dense != 0).sum()))
    size = SparseSize(rows=rows, dim=dim, nonzeros=count, place_bytes=place_bytes)
    store = pack(dense, size)
    assert sum(t.numel() * t.element_size() for t in store.values()) == size.nbytes
    assert torch.equal(read(store, size), dense.half().float())
    held = store["entries"]
    index = store["index"].tolist()
    assert index[0] == 0
    assert index[-1] == count == len(held)
    places = held[:, 0].long() + (held[:, 1].long() << 8 if place_bytes == 2 else 0)
    for begin, end in pairwise(index):
        assert (places[begin:end].diff() > 0).all()


def test_the_largest_are_held_and_zeros_fill_it_up() -> None:
    dense = torch.tensor([[0.0, 0.5, -3.0], [1.0, 0.0, 0.0]])
    few = SparseSize(rows=2, dim=3, nonzeros=2, place_bytes=1)
    assert read(pack(dense, few), few).tolist() == [[0, 0, -3], [1, 0, 0]]
    many = SparseSize(rows=2, dim=3, nonzeros=5, place_bytes=1)
    store = pack(dense, many)
    assert store["entries"].shape == (5, 3)
    assert store["entries"][:, 0].tolist() == [0, 1, 2, 3, 4]
    assert torch.equal(read(store, many), dense)


@pytest.mark.parametrize("place_bytes", [1, 2])
def test_what_is_held_may_be_given_by_masks(place_bytes: int) -> None:
    """Zeros among what is held, and larger numbers among what is not."""
    dense = table(70, 200, 0.5)
    mask = torch.rand(dense.shape, generator=torch.Generator().manual_seed(1)) < 0.2
    size = SparseSize(rows=70, dim=200, nonzeros=int(mask.sum()), place_bytes=place_bytes)
    step = size.rows_per_block * (3 if place_bytes == 1 else 1)
    store = pack(dense, size, ((first, mask[first : first + step]) for first in range(0, 70, step)))
    assert len(store["entries"]) == size.nonzeros
    assert torch.equal(read(store, size), (dense * mask).half().float())


def test_values_beyond_float16_are_clamped() -> None:
    dense = torch.tensor([[1e6, -1e6, 1e-9, 0.1]])
    size = SparseSize(rows=1, dim=4, nonzeros=4, place_bytes=1)
    assert torch.equal(read(pack(dense, size), size), torch.tensor([[65504.0, -65504.0, 0.0, 0.1]]).half().float())


@pytest.mark.parametrize("place_bytes", [1, 2])
def test_a_table_is_packed_part_by_part(monkeypatch: pytest.MonkeyPatch, place_bytes: int) -> None:
    rows, dim = 2 * rows_per_block(3, place_bytes) + 9, 3
    dense = table(rows, dim, 0.1)
    dense[rows // 3 : rows // 2] = 0
    size = SparseSize(rows=rows, dim=dim, nonzeros=int((dense != 0).sum()) // 2, place_bytes=place_bytes)
    whole = pack(dense, size)
    monkeypatch.setattr(magnitude, "_CHUNK_NUMBERS", 100)
    for name, tensor in pack(dense, size).items():
        assert torch.equal(tensor, whole[name])


def test_names_shapes_and_codes() -> None:
    size = SparseSize(rows=100, dim=16, nonzeros=30, place_bytes=2)
    index, entries = store_holdings(size)
    assert (index.name, index.shape, index.dtype) == ("index", (2,), "int32")
    assert (entries.name, entries.shape, entries.dtype) == ("entries", (30, 4), "uint8")
    assert store_codes(size) == (Storage.SPARSE16, Storage.ENTRIES)
    short = SparseSize(rows=100, dim=16, nonzeros=30, place_bytes=1)
    assert store_codes(short) == (Storage.SPARSE8, Storage.ENTRIES)
