"""What is looked up: ids, tables on chosen pages, banks over them."""

from __future__ import annotations

import itertools
import mmap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from measure import Case, Missing, Step
from torch import Tensor

from pocketrec.compress import Bank, attach, size
from pocketrec.compress.group import Group
from pocketrec.compress.storage import STORAGES
from pocketrec.data.value_sets import ValueSets
from pocketrec.native.binding import kernels
from pocketrec.native.packing import contiguous, pack
from pocketrec.native.request import Request
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

BATCH, FIELDS = 2048, 26
LOOKUPS = BATCH * FIELDS
HUGE_BYTES = 2 << 20
DIFFERENT_BATCHES = 8


def shapes(dims: Sequence[int] = (16, 64, 128)) -> list[Case]:
    """26 tables of 10^5 rows and one of 10^7 that all fields share; popular ids and uniform ones."""
    made: list[Case] = []
    for tables, rows, zipf in ((FIELDS, 100_000, 1.1), (1, 10_000_000, 1.05)):
        made += [
            {"tables": tables, "rows": rows, "dim": dim, "ids": ids}
            for dim in dims
            for ids in (f"zipf {zipf}", "uniform")
        ]
    return made


QUICK_SHAPES: list[Case] = [{"tables": FIELDS, "rows": 50, "dim": 16, "ids": "zipf 1.1"}]


def draw_ids(case: Case, seed: int = 1, batch: int = BATCH, fields: int = FIELDS) -> list[Tensor]:
    """Some batches of ids, int64 [batch, fields] each, below the rows of their tables.

    Zipf's law holds over the rows of each table, cut off at its end; which row is the how-manieth is drawn at random.
    """
    draw = torch.Generator().manual_seed(seed)
    rows, shape = case["rows"], (DIFFERENT_BATCHES, batch, fields)
    if case["ids"] == "uniform":
        return list(torch.randint(rows, shape, generator=draw))
    law = np.cumsum(np.arange(1, rows + 1, dtype=np.float64) ** -float(case["ids"].split()[1]))
    chances = torch.rand(shape, generator=draw, dtype=torch.float64).numpy() * law[-1]
    ranks = torch.from_numpy(np.minimum(np.searchsorted(law, chances), rows - 1))
    if case["tables"] == 1:
        return list(torch.randperm(rows, generator=draw)[ranks])
    for field in range(fields):
        ranks[:, :, field] = torch.randperm(rows, generator=draw)[ranks[:, :, field]]
    return list(ranks)


def stacked(case: Case, batches: Sequence[Tensor]) -> list[Tensor]:
    """The same ids as rows of all tables stacked one upon the other: int64 [batch * fields] each."""
    starts = torch.arange(FIELDS) * (case["rows"] if case["tables"] > 1 else 0)
    return [(ids + starts).flatten() for ids in batches]


def total_rows(case: Case) -> int:
    """Rows of all tables."""
    total: int = case["rows"] * case["tables"]
    return total


def on_pages(shape: Sequence[int], dtype: torch.dtype = torch.float32, *, huge: bool = True) -> Tensor:
    """Fresh memory on pages of 2 MiB (where the system gives them) or on ordinary ones."""
    count = int(np.prod(shape))
    nbytes = count * dtype.itemsize
    # private: shared memory, mmap's default, gets no pages of 2 MiB on most systems
    memory = mmap.mmap(-1, nbytes + HUGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE if huge else mmap.MADV_NOHUGEPAGE)
    whole = torch.frombuffer(memory, dtype=torch.uint8)
    start = -whole.data_ptr() % HUGE_BYTES
    return whole[start : start + nbytes].view(dtype).view(*shape)


def filled(rows: Tensor, pattern: Tensor) -> Tensor:
    """`rows` with the rows of `pattern` over and over: every page is written, and quicker than by drawing numbers."""
    block = pattern.repeat(max(1, 65_536 // len(pattern)), 1)
    for start in range(0, len(rows), len(block)):
        part = rows[start : start + len(block)]
        part.copy_(block[: len(part)])
    return rows


def pattern(dim: int, rows: int = 64) -> Tensor:
    """A few rows of numbers."""
    return torch.randn(rows, dim, generator=torch.Generator().manual_seed(2))


def counted(case: Case) -> dict[str, TableStats]:
    """Counts of the ids of each table, about as Zipf's law has them: twice as many ids occur half as often."""
    classes, left = [], case["rows"] - 1
    while left:
        classes.append((1 << 40 - len(classes), min(left, 1 << len(classes))))
        left -= classes[-1][1]
    return {t.name: TableStats(table=t.name, histogram=tuple(classes)) for t in table_specs(case)}


def alike(case: Case, ids: int, members: int = 4) -> dict[str, ValueSets]:
    """Value sets of the first ids of each table, each with some of a few thousand members at random."""
    ids = min(ids, case["rows"] - 1)
    drawn = np.sort(np.random.default_rng(4).integers(0, 4096, (ids, members)), axis=1) * members + np.arange(members)
    sets = ValueSets(
        values=np.arange(1, ids + 1), starts=np.arange(ids + 1) * members, members=drawn.astype(np.int32).reshape(-1)
    )
    return {t.name: sets for t in table_specs(case)}


def table_specs(case: Case) -> list[TableSpec]:
    """The tables of a case."""
    return [TableSpec(name=f"T{i}", rows=case["rows"], dim=case["dim"]) for i in range(case["tables"])]


def fields_of(case: Case) -> dict[str, str]:
    """The 26 fields and the table of each."""
    return {f"C{i}": f"T{i % case['tables']}" for i in range(FIELDS)}


def full_bank(case: Case, rows: Tensor, storage: str = "float32") -> Bank:
    """A serving bank of plain tables over these rows, which it does not copy."""
    if storage not in STORAGES.names():
        raise Missing(f"this pocketrec has no storage {storage}")
    sizing = size(table_specs(case), "1x", "full", storage=storage)
    return attach(sizing, {"0.rows": rows}, fields=fields_of(case)).eval()


def cycling(step: Callable[[Tensor], object], batches: Sequence[Tensor]) -> Step:
    """A step over one batch after the other."""
    following = itertools.cycle(batches)
    return lambda: step(next(following))


def into(bank: Bank, batches: Sequence[Tensor], out: Tensor) -> Step:
    """Look-ups of a bank of one group by the compiled kernel, into memory that is there already."""
    return _into(_only(bank), batches, out)


def _into(group: Group, batches: Sequence[Tensor], out: Tensor) -> Step:
    compiled, packed = _packed(group, batches)
    following, place = itertools.cycle(packed), out.data_ptr()

    def step(kept: object = (group, batches, out)) -> None:  # they must live as long as their addresses are used
        compiled.lookup(*next(following), place)

    return step


def joined_into(bank: Bank, batches: Sequence[Tensor], out: Tensor) -> Step:
    """Look-ups of a bank of one unit by the compiled kernel, into memory that is there already."""
    compiled = kernels()
    if compiled is None:
        raise Missing("the compiled kernels were not built")
    (unit,) = bank.units
    joined = unit.joined(compiled)
    assert joined is not None, "no vectors are widened"
    return cycling(lambda ids: joined.into(ids, out), batches)


def addresses_into(bank: Bank, batches: Sequence[Tensor], out: Tensor) -> Step:
    """Only the addresses of such look-ups, int64; those of one field after the other where they are of blocks."""
    compiled, packed = _packed(_only(bank), batches)
    following, place = itertools.cycle(packed), out.data_ptr()

    def step(kept: object = (bank, batches, out)) -> None:
        compiled.addresses(next(following)[3], place)

    return step


def parts_of(bank: Bank) -> int:
    """Addresses per id of a bank of one group."""
    return _only(bank).access.parts


def _only(bank: Bank) -> Group:
    (group,) = bank.groups
    assert isinstance(group, Group)
    return group


def _packed(group: Group, batches: Sequence[Tensor]) -> tuple[Any, list[Any]]:
    compiled, access = kernels(), group.access
    if compiled is None:
        raise Missing("the compiled kernels were not built")
    packed = []
    for ids in batches:
        request = Request(
            group.regions(), ids, None, None, group.program, group.maps(), group.storages, access.width, access.parts,
            int(access.combine), 0,
        )  # fmt: skip
        packed.append(pack(contiguous(request)))
    return compiled, packed
