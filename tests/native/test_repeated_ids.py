"""Vectors of many blocks: ids that come several times in a batch are read once, and nobody can tell."""

from __future__ import annotations

import pytest
import torch

from pocketrec import native
from pocketrec.native import Access, Combining, Kind, program_row
from pocketrec.spec.errors import IdError

DIM, LENGTH, WEIGHTS = 64, 4, 1000


def access(storage: int = 0, *, padding: int = -1, limit: int = -1) -> Access:
    """Three fields of sixteen blocks, two of which read one column."""
    shared = {"kind": Kind.BLOCK, "size": WEIGHTS, "a": LENGTH, "b": 1, "padding": padding, "limit": limit}
    rows = [program_row(column=column, seed=seed, **shared) for seed, column in enumerate((1, 0, 1))]
    return Access(torch.tensor(rows), (storage,), DIM, DIM // LENGTH, Combining.CONCAT)


def array() -> torch.Tensor:
    return torch.randn(WEIGHTS, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("batch", [255, 256, 257, 5000])
@pytest.mark.parametrize("ids_below", [3, 400, 2**62])
def test_the_same_bits_as_the_reference(compiled: None, batch: int, ids_below: int) -> None:
    draw = torch.Generator().manual_seed(batch)
    ids = torch.randint(ids_below, (batch, 2), generator=draw)
    for padding in (-1, 1, -2):
        if padding == -2:
            ids[::7] = -2
        with native.use_backend("reference"):
            expected = native.lookup([array()], ids, access(padding=padding))
        with native.use_backend("compiled"):
            assert torch.equal(native.lookup([array()], ids, access(padding=padding)), expected)


def test_few_that_come_again_at_first_and_many_later(compiled: None) -> None:
    ids = torch.cat([torch.arange(256), torch.zeros(3000, dtype=torch.int64)])[:, None].expand(-1, 2).contiguous()
    for each in (ids, ids.flip(0)):
        with native.use_backend("reference"):
            expected = native.lookup([array()], each, access())
        with native.use_backend("compiled"):
            assert torch.equal(native.lookup([array()], each, access()), expected)


def test_the_first_id_that_is_refused_is_named(backend: str) -> None:
    ids = torch.randint(20, (900, 2), generator=torch.Generator().manual_seed(1))
    ids[700, 1], ids[701, 0] = 77, 99
    with pytest.raises(IdError, match=r"id 77 \(value 2100, field 0\)"):
        native.lookup([array()], ids, access(limit=20))
    ids[600, 0] = -5
    with pytest.raises(IdError, match=r"id -5"):
        native.lookup([array()], ids, access(limit=20))
