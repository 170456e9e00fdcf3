"""All SIMD levels that this machine has, and any number of threads, give the same bits."""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pocketrec import native
from pocketrec.native import Access, BlockFlag, Combining, Kind, lookup, program_row
from pocketrec.native.threads import use_threads
from pocketrec.spec.errors import IdError

LEVELS = ("generic", "avx2", "avx512")
DIMS = (1, 3, 8, 16, 17, 32, 64, 100, 128)

# Runs in a process of its own: the level is decided once. Prints one line of hashes per case.
CASES = """
import hashlib
import sys

import torch

sys.path.insert(0, sys.argv[1])
from conftest import CODES, GROUPS, encoded

from pocketrec.native import Access, compact, lookup

for group, build in GROUPS.items():
    for storage in ("float32", "float16", "bfloat16", "int16", "int8", "int4"):
        for dim in map(int, sys.argv[2:]):
            regions, rows, maps, parts, combining = build(dim, storage, torch.Generator().manual_seed(dim))
            access = Access(torch.tensor(rows), (CODES.get(storage, 0),) * len(regions), dim, parts, combining, maps)
            ids = torch.randint(0, 60, (40, 5), generator=torch.Generator().manual_seed(1))
            out = lookup(regions, ids, access)
            grad = torch.randn(out.shape, generator=torch.Generator().manual_seed(2))
            found = (out, *compact(grad, regions, ids, access))
            print(group, storage, dim, *(hashlib.sha256(t.numpy().tobytes()).hexdigest()[:16] for t in found))
"""


def _hashes(level: str) -> list[str]:
    environment = os.environ | {"POCKETREC_SIMD": level, "POCKETREC_NATIVE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", CASES, str(Path(__file__).parent), *map(str, DIMS)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_levels_give_the_same_bits(compiled: None) -> None:
    """A level that the machine lacks is lowered to one that it has, and agrees trivially."""
    generic, *others = (_hashes(level) for level in LEVELS)
    assert len(generic) > 200
    for found in others:
        assert found == generic


@pytest.mark.parametrize(
    "group",
    [
        "rows",
        "sum",
        "product",
        "hashes",
        "digits",
        "blocks",
        "signatures",
        "sets",
        "keyed_codes",
        "packed_codes",
        "chains_3",
        "rings_3",
    ],
)
@pytest.mark.parametrize("pooling", [None, 0, 1, 2, 3])
def test_threads_give_the_same_bits(
    compiled: None, make_call: Callable[..., Any], group: str, pooling: int | None
) -> None:
    call = make_call(group, dim=64, batch=700, pooling=pooling)
    found = []
    for count in (1, 2, 3):
        with use_threads(count):
            out = call.lookup()
            found.append((out, *call.compact(torch.ones_like(out))))
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_rows_are_read_wherever_they_begin(compiled: None) -> None:
    """Vectors of every width and many rows, so that whole tiles and their ends are met, from an odd address."""
    for dim in (5, 16, 33):
        bytes_of_rows = torch.randint(
            0, 120, (1 + 3000 * (dim + 8),), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
        )
        region = bytes_of_rows[1:].view(3000, dim + 8)
        access = Access(torch.tensor([program_row(size=3000)]), (8,), dim)
        ids = torch.randint(0, 3000, (5000, 1), generator=torch.Generator().manual_seed(0))
        found = lookup([region], ids, access)
        with native.use_backend("reference"):
            torch.testing.assert_close(found, lookup([region], ids, access), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("storage", [0, 8, 4])
def test_large_outputs_are_written_past_the_caches(compiled: None, storage: int) -> None:
    """5 MB of output, whose stores are others than those of small ones; null rows among them."""
    dim, rows = 16, 3000
    width = {0: dim, 8: dim + 8, 4: dim // 2 + 4}[storage]
    draw = torch.Generator().manual_seed(0)
    region = torch.randint(0, 100, (rows, width), dtype=torch.uint8, generator=draw)
    if not storage:
        region = region.float()
    access = Access(torch.tensor([program_row(size=rows, a=-1)]), (storage,), dim)
    ids = torch.randint(0, rows + 50, (80_000, 1), generator=draw)
    found = lookup([region], ids, access)
    with native.use_backend("reference"):
        torch.testing.assert_close(found, lookup([region], ids, access), rtol=0, atol=0, equal_nan=True)


def _between_guards(values: Tensor, end: bool) -> Tensor:
    """A copy that begins behind memory that nobody may read, or ends before such memory."""
    page = mmap.PAGESIZE
    memory = np.frombuffer(mmap.mmap(-1, 3 * page), dtype=np.uint8)
    start = -(-memory.ctypes.data // page) * page - memory.ctypes.data
    for guard in (0, 2 * page):
        assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(memory.ctypes.data + start + guard), page, 0) == 0
    begin = start + page + (page - values.numel() if end else 0)
    placed = torch.from_numpy(memory)[begin : begin + values.numel()].view(values.shape)
    return placed.copy_(values)


@pytest.mark.parametrize("length", [4, 16, 20, 64, 128])
@pytest.mark.parametrize("end", [False, True])
@pytest.mark.parametrize("storage", [8, 4])
def test_blocks_of_codes_are_read_wherever_they_begin(compiled: None, storage: int, end: bool, length: int) -> None:
    """Every place of an array of few weights, also those whose block goes on at its start, and nothing around it."""
    draw = torch.Generator().manual_seed(0)
    ids, dim = torch.arange(10_000)[:, None], 128
    for size in (130, 320):
        codes = torch.randint(0, 256, (-(-size // 64), 8 * storage), dtype=torch.uint8, generator=draw)
        scales = torch.rand(len(codes), 2, generator=draw).to(torch.float32 if storage == 8 else torch.float16)
        array = _between_guards(torch.cat((codes, scales.view(torch.uint8)), dim=1), end)
        for sign in (0, int(BlockFlag.SIGN)):
            row = program_row(kind=Kind.BLOCK, size=size, a=length, b=sign, seed=3)
            access = Access(torch.tensor([row]), (storage,), dim, -(-dim // length), Combining.CONCAT)
            for count in (10_000, 300) if length == dim else (300,):  # past the caches, and into them
                found = lookup([array], ids[:count], access)
                with native.use_backend("reference"):
                    assert torch.equal(found, lookup([array], ids[:count], access))


@pytest.mark.parametrize(("combining", "parts"), [(Combining.SUM, 2), (Combining.SUM, 3), (Combining.PRODUCT, 2)])
@pytest.mark.parametrize("dim", [16, 112])
def test_large_sums_are_written_past_the_caches(compiled: None, combining: Combining, parts: int, dim: int) -> None:
    """Values of several rows, of one with null parts behind it, and of none."""
    row = program_row(kind=Kind.HASHES, size=900, a=100, n=parts, seed=3, padding=7)
    access = Access(torch.tensor([row]), (0,), dim, parts, combining)
    draw = torch.Generator().manual_seed(0)
    region, ids = torch.randn(1000, dim, generator=draw), torch.randint(0, 200, (80_000, 1), generator=draw)
    found = lookup([region], ids, access)
    with native.use_backend("reference"):
        assert torch.equal(found, lookup([region], ids, access))


@pytest.mark.parametrize("parts", [2, 3])
def test_sums_refuse_rows_that_are_not_there(compiled: None, parts: int) -> None:
    row = program_row(kind=Kind.HASHES, size=1000, n=parts, seed=3)
    access = Access(torch.tensor([row]), (0,), 16, parts, Combining.SUM)
    ids = torch.arange(1000)[:, None]
    with pytest.raises(IdError, match="lies beyond the 999 rows"):
        lookup([torch.zeros(999, 16)], ids, access)


@pytest.mark.parametrize("flags", [0, BlockFlag.SIGN])
@pytest.mark.parametrize("length", [1, 2, 4, 8, 16, 32, 48, 64, 128, 192, 200])
@pytest.mark.parametrize("dim", [16, 128, 200])
def test_blocks_of_every_length(compiled: None, flags: int, length: int, dim: int) -> None:
    """Some run over the end of the array; padding among them."""
    row = program_row(kind=Kind.BLOCK, size=1000, a=length, b=flags, seed=5, padding=17)
    access = Access(torch.tensor([row]), (0,), dim, -(-dim // length), Combining.CONCAT)
    ids, region = torch.arange(500)[:, None], torch.randn(1000, generator=torch.Generator().manual_seed(1))
    found = lookup([region], ids, access)
    with native.use_backend("reference"):
        assert torch.equal(found, lookup([region], ids, access))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("length", [4, 8, 16, 32])
def test_large_outputs_of_blocks_are_written_past_the_caches(compiled: None, dtype: torch.dtype, length: int) -> None:
    dim, draw = 64, torch.Generator().manual_seed(0)
    row = program_row(kind=Kind.BLOCK, size=5000, a=length, b=BlockFlag.SIGN, seed=5, padding=17)
    access = Access(torch.tensor([row]), (0,), dim, dim // length, Combining.CONCAT)
    ids, region = torch.randint(0, 10_000, (20_000, 1), generator=draw), torch.randn(5000, generator=draw).to(dtype)
    found = lookup([region], ids, access)
    with native.use_backend("reference"):
        assert torch.equal(found, lookup([region], ids, access))
