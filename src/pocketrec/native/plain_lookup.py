"""The frozen lookup once more, in plain torch that a trace can follow: no op of ours, and no branch on data.

The reference of ``pocketrec::lookup`` picks values by what they hold (padding, kinds of addressing, regions), so shapes
inside it depend on data. Here the program is known as numbers before any id is, every value goes the same way, and
what does not apply is masked. The formulas are the reference's own functions, so the numbers are the same to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from pocketrec.native.addresses import RULES
from pocketrec.native.chain import chain_of, chain_vectors, slice_addresses
from pocketrec.native.pooling import pool
from pocketrec.native.program import HASHED_BLOCKS, BlockFlag, Column, Combining, Kind, Pooling
from pocketrec.native.program_check import check_blocks, check_program
from pocketrec.native.regions import block_addresses, block_signs, stored_rows, stored_weights
from pocketrec.native.request import Request, bag_shape, check_request, units
from pocketrec.native.sparse import SPARSE, rows_between, spans_of
from pocketrec.native.values import Values
from pocketrec.spec.errors import OptionError

__all__ = ["Rows", "check_rows", "columns_in_bags", "plain_addresses", "plain_lookup", "plain_pool"]

_LAST_ID: Final = 2**63 - 1

Rows = Sequence[Sequence[int]]
"""A program as numbers: one row of 17 per field."""


def check_rows(rows: Rows, maps: Tensor | None, *, dim: int, parts: int, combining: int) -> None:
    """Refuse a program whose numbers do not fit together; once, before it is traced.

    Raises:
        ValueError: names the first bad field.
    """
    program = _table(rows)
    if any(row[Column.KIND] == Kind.SETS for row in rows):
        raise OptionError(
            "Least hashes that are found at look-up cannot be written as plain torch operations; "
            "keep signatures of them."
        )
    check_program(program, maps, parts)
    check_blocks(program, dim, parts, combining)


def plain_lookup(request: Request, rows: Rows) -> Tensor:
    """Vectors of the ids of some fields, as the op ``pocketrec::lookup_frozen`` gives them.

    Args:
        request: pooling NONE without offsets, NONE or SUM with them. Offsets [fields, batch + 1] must not fall from one
            field to the next. Its program is not read.
        rows: the program as numbers, that :func:`check_rows` let pass.

    Returns:
        float32 [batch, fields, dim], or [values, dim] for offsets with pooling NONE. Empty bags and padding are zeros.

    Raises:
        RuntimeError: an id beyond its limit, a negative one that is not the padding id of its field, offsets that fall,
            or an address beyond the regions; in an exported program too.
    """
    check_request(request)
    values = _values(request, rows)
    addresses = _addresses(values, rows, request.maps, request.parts)
    ways = {Combining.CONCAT: _blocks, Combining.CONTRACT: _chains}
    vectors = ways.get(Combining(request.combining), _combined)(request, values, addresses, rows)
    return _pooled(request, values, vectors)


def plain_pool(request: Request, rows: Rows, vectors: Tensor) -> Tensor:
    """Vectors of values pooled as :func:`plain_lookup` pools them: float32 [batch, fields, dim].

    Args:
        request: with offsets and pooling SUM; its regions and its dim are not read.
        rows: as for :func:`plain_lookup`.
        vectors: float32 [values, dim], zeros for padding.
    """
    return _pooled(request._replace(dim=vectors.shape[1]), _values(request, rows), vectors)


def _pooled(request: Request, values: Values, vectors: Tensor) -> Tensor:
    if request.pooling not in (Pooling.NONE, Pooling.SUM):
        raise OptionError(f"The plain lookup pools by sum, not by {Pooling(request.pooling).name}.")
    return pool(request, values, vectors)


def plain_addresses(request: Request, rows: Rows) -> Tensor:
    """Addresses of the ids of some fields, as the op ``pocketrec::addresses`` gives them.

    Args:
        request: its regions are not read.
        rows: as for :func:`plain_lookup`.

    Returns:
        int64 [values, parts], row-major over [batch, fields] for ids without offsets.
    """
    return _addresses(_values(request, rows), rows, request.maps, request.parts)


def _table(numbers: Rows | Sequence[int]) -> Tensor:
    return torch.tensor(numbers, dtype=torch.int64)


def _require(holds: Tensor, message: str) -> None:
    torch._assert_async(holds.all(), message)


def _values(request: Request, rows: Rows) -> Values:
    if request.offsets is None:
        ids, fields, bags, inside = _grid(request, rows)
    else:
        ids, fields, bags, inside = _jagged(request)
    padding_ids = _table([row[Column.PADDING] for row in rows]).index_select(0, fields)
    padding = ((ids == padding_ids) & (padding_ids != -1)) | ~inside
    _require((ids >= 0) | padding, "an id is negative and not the padding id of its field")
    limits = [row[Column.LIMIT] for row in rows]
    if any(limit >= 0 for limit in limits):
        last = _table([limit - 1 if limit >= 0 else _LAST_ID for limit in limits]).index_select(0, fields)
        _require((ids <= last) | padding, "an id lies beyond its table")
    positions = torch.arange(ids.shape[0])
    return Values(torch.where(padding, 0, ids), fields, bags, positions, padding)


def _grid(request: Request, rows: Rows) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    batch, fields = bag_shape(request.ids, None, request.program)
    columns = _table([row[Column.COLUMN] for row in rows])
    order = torch.arange(batch * fields)
    ids = request.ids.index_select(1, columns).reshape(-1)
    return ids, order % fields, order, torch.ones_like(order, dtype=torch.bool)


def columns_in_bags(ids: Tensor, offsets: Tensor, columns: int) -> Tensor:
    """Which column each value is of, int64 [values]; one in no bag counts as of the first bag that ends behind it."""
    ends = offsets[..., 1:].reshape(-1)
    found = torch.searchsorted(ends, torch.arange(ids.shape[0]), right=True)
    batch = (offsets.shape[0] - 1) // columns if offsets.dim() == 1 else offsets.shape[1] - 1
    return torch.where(found < ends.shape[0], found, 0) // batch


def _jagged(request: Request) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The bag of a value is the first one that ends behind it; whether it begins before it says if it is in a bag."""
    assert request.offsets is not None
    batch, fields = bag_shape(request.ids, request.offsets, request.program)
    starts, ends = request.offsets[..., :-1].reshape(-1), request.offsets[..., 1:].reshape(-1)
    order = torch.arange(request.ids.shape[0])
    _require((starts >= 0) & (ends >= starts) & (ends <= request.ids.shape[0]), "offsets fall, or leave the ids")
    found = torch.searchsorted(ends, order, right=True)
    bag = torch.where(found < ends.shape[0], found, 0)  # a clamp to the last bag would ask for one
    inside = (found < ends.shape[0]) & (starts.index_select(0, bag) <= order)
    return request.ids, bag // batch, (bag % batch) * fields + bag // batch, inside


def _addresses(values: Values, rows: Rows, maps: Tensor | None, parts: int) -> Tensor:
    """Addresses int64 [n, parts]; -1 for padding, null addresses and parts that a kind does not use."""
    out: Tensor | None = None
    for kind in dict.fromkeys(row[Column.KIND] for row in rows):
        mine = [row[Column.KIND] == kind for row in rows]
        other = rows[mine.index(True)]  # stands in for fields of other kinds, whose numbers would divide by zero
        program = _table([row if own else other for row, own in zip(rows, mine, strict=True)])
        found = RULES[Kind(kind)](values.ids, program.index_select(0, values.fields), maps, parts)
        found = torch.nn.functional.pad(found, (0, parts - found.shape[1]), value=-1)
        if out is not None:
            found = torch.where(torch.tensor(mine).index_select(0, values.fields)[:, None], found, out)
        out = found
    assert out is not None, "a program has a field"
    return torch.where(values.padding[:, None], -1, out)


def _combined(request: Request, values: Values, addresses: Tensor, rows: Rows) -> Tensor:
    out = _part(request, addresses[:, 0])
    for part in range(1, request.parts):
        other = _part(request, addresses[:, part])
        if request.combining == Combining.SUM:
            out = out + other
        else:
            out = torch.where(addresses[:, part, None] >= 0, out * other, out)
    return out


def _part(request: Request, addresses: Tensor) -> Tensor:
    """Vectors float32 [n, dim] at addresses int64 [n]; zeros at null addresses."""
    first, out = 0, torch.zeros((addresses.shape[0], request.dim))
    for number, (region, storage) in enumerate(zip(request.regions, request.storages, strict=True)):
        size = units(region, storage, request.dim, request.combining)
        if size:
            inside = (addresses >= first) & (addresses < first + size)
            found = _rows(request, number, torch.where(inside, addresses - first, 0))
            out = torch.where(inside[:, None], found, out)
        first += size
    _require(addresses < first, "an address lies beyond the rows of the tables")
    return out


def _rows(request: Request, number: int, rows: Tensor) -> Tensor:
    """Rows int64 [n] of one region, float32 [n, dim]."""
    region, storage, dim = request.regions[number], request.storages[number], request.dim
    if storage not in SPARSE:
        return stored_rows(region, storage, rows, dim)
    entries = request.regions[number + 1]
    spans = spans_of(region, entries, rows, dim)
    _require(spans.fits, "the entries of a block lie beyond those of its sparse store")
    return rows_between(spans, entries, rows, dim)


def _blocks(request: Request, values: Values, starts: Tensor, rows: Rows) -> Tensor:
    region, storage = request.regions[0], request.storages[0]
    row = _table(rows).index_select(0, values.fields)
    weights = block_addresses(starts, row, request.dim)
    _require(
        weights < units(region, storage, request.dim, request.combining), "an address lies beyond the shared array"
    )
    found = stored_weights(region, storage, weights.clamp(min=0))
    if any(r[Column.KIND] in HASHED_BLOCKS and r[Column.B] & BlockFlag.SIGN for r in rows):
        found = found * block_signs(values.ids, row, request.maps, request.dim)
    return torch.where(weights >= 0, found, 0.0)


def _chains(request: Request, values: Values, addresses: Tensor, rows: Rows) -> Tensor:
    region, storage, chain, slices = request.regions[0], request.storages[0], chain_of(rows[0]), []
    for own in slice_addresses(addresses, chain):
        _require(own < region.shape[0], "an address lies beyond the cores")
        held = stored_rows(region, storage, own.clamp(min=0).reshape(-1), chain.rank)
        slices.append(held.reshape(*own.shape, chain.rank))
    return torch.where(values.padding[:, None], 0.0, chain_vectors(slices, chain))
