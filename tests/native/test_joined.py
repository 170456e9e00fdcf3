"""Look-ups in one call against the same look-ups one by one, put together by hand."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from pocketrec.native import Access, Combining, Kind, binding, lookup, program_row
from pocketrec.native.addresses import addresses
from pocketrec.native.joined import Join, Joined
from pocketrec.native.prepared import Prepared
from pocketrec.native.threads import threads
from pocketrec.spec.errors import IdError

pytestmark = pytest.mark.usefixtures("compiled")
FIELDS, NOTHING = 5, -2


def numbers(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Part:
    """Access and regions of one look-up."""

    def __init__(self, kind: str, dim: int, *, padding: Sequence[int], regions: int = 1, seed: int = 0) -> None:
        rows, storages, parts, combining = 60, [0] * regions, 1, Combining.COPY
        self.regions = [numbers(rows, dim, seed=seed + r) for r in range(regions)]
        if kind == "mixed storages":
            storages, self.regions = [0, 8], [self.regions[0], torch.randint(0, 99, (rows, dim + 8)).byte()]
            self.regions[1][:, dim:] = torch.tensor([0.5, -1.0]).view(torch.uint8)
            regions = 2
        if kind == "few rows":  # ids below 9 only, and not 0
            columns = {"kind": Kind.ROW, "size": 9, "a": -1, "b": 1}
        elif kind in ("sum", "product"):
            parts, combining = 2, Combining.SUM if kind == "sum" else Combining.PRODUCT
            columns = {"kind": Kind.QUOTIENT_REMAINDER, "size": 7, "n": 200, "a": 30, "p": 1}
        elif kind == "blocks":
            parts, combining = 2, Combining.CONCAT
            columns = {"kind": Kind.BLOCK, "size": rows * dim, "a": dim // 2, "b": 1, "seed": 3}
            self.regions = [self.regions[0].flatten()]
        else:
            columns = {"kind": Kind.HASH, "size": rows * regions, "seed": 7}
        program = [program_row(column=f, padding=pad, **columns) for f, pad in enumerate(padding)]
        self.access = Access(torch.tensor(program), storages, dim, parts, combining, None)

    def prepared(self) -> Prepared:
        access = self.access
        return Prepared(
            self.regions, access.program, access.maps, access.storages, access.dim, access.parts, access.combining
        )

    def vectors(self, ids: Tensor) -> Tensor:
        return lookup(self.regions, ids, self.access)

    def found(self, ids: Tensor) -> Tensor:
        own = addresses(ids, self.access.program, maps=self.access.maps, parts=self.access.parts)
        return own[:, 0].view(ids.shape[0], FIELDS) >= 0


def joined(parts: Sequence[Part], joins: Sequence[Join]) -> Joined:
    return Joined(binding.kernels(), [part.prepared() for part in parts], joins, FIELDS)


def some_ids(batch: int, columns: int = FIELDS) -> Tensor:
    ids = torch.randint(0, 30, (batch, columns), generator=torch.Generator().manual_seed(1))
    ids[::7, 1] = 4  # the padding id of a field
    return ids


PADDING = [-1, 4, -1, -1, 0]
REST_PADDING = [NOTHING, 4, NOTHING, NOTHING, 0]


@pytest.mark.parametrize("rest", ["hash", "sum", "product", "blocks", "mixed storages"])
@pytest.mark.parametrize("dim", [6, 16])
@pytest.mark.parametrize("batch", [0, 1, 300])
def test_the_rest_is_asked_for_what_was_not_found(rest: str, dim: int, batch: int) -> None:
    first = Part("few rows", dim, padding=PADDING)
    second = Part(rest, dim, padding=REST_PADDING, regions=2 if rest == "hash" else 1, seed=5)
    ids, pads = some_ids(batch), torch.tensor(PADDING)
    left = torch.where(first.found(ids) | (ids == pads), torch.tensor(REST_PADDING), ids)
    vectors, asked = joined([first, second], [Join.ALONE, Join.REST])(ids, keeps=True)
    assert asked[0].ids is ids
    assert torch.equal(asked[1].ids, left)
    for part, own in zip((first, second), asked, strict=True):
        expected = addresses(own.ids, part.access.program, parts=part.access.parts)
        if part.access.combining == Combining.CONCAT:
            assert own.addresses is None
        else:
            assert own.addresses is not None
            assert torch.equal(own.addresses.clamp(min=-1), expected)
    assert torch.equal(vectors, first.vectors(ids) + second.vectors(left))
    if batch > 1:
        assert 0 < int(first.found(ids).sum()) < ids.numel()


def test_three_in_turn_and_columns_of_others() -> None:
    parts = [
        Part("few rows", 8, padding=PADDING), Part("few rows", 8, padding=REST_PADDING, seed=3),
        Part("hash", 8, padding=REST_PADDING, seed=5),
    ]  # fmt: skip
    for field, row in enumerate(parts[1].access.program):
        row[3] = 20 + field  # ids below 20 and some more
    ids = some_ids(40, FIELDS + 2)
    vectors, asked = joined(parts, [Join.ALONE, Join.REST, Join.REST])(ids, keeps=True)
    expected = sum(part.vectors(own.ids) for part, own in zip(parts, asked, strict=True))
    assert torch.equal(vectors, expected)
    assert all(torch.equal(own.ids[:, FIELDS:], ids[:, FIELDS:]) for own in asked)
    once = sum(part.found(own.ids).int() for part, own in zip(parts, asked, strict=True))
    assert torch.equal(once, (ids[:, :FIELDS] != torch.tensor(PADDING)).int()), "each id is found by one of them"


@pytest.mark.parametrize("kind", ["hash", "sum", "product", "blocks", "mixed storages"])
@pytest.mark.parametrize("dim", [6, 16])
def test_factors_multiply(kind: str, dim: int) -> None:
    first, factor = Part(kind, dim, padding=PADDING), Part("hash", 1, padding=PADDING, seed=9)
    ids = some_ids(300)
    vectors, asked = joined([first, factor], [Join.ALONE, Join.FACTOR])(ids, keeps=True)
    assert torch.equal(vectors, first.vectors(ids) * factor.vectors(ids))
    assert asked[0].ids is asked[1].ids is ids
    assert asked[1].addresses is None


@pytest.mark.parametrize("kind", ["hash", "blocks"])
def test_large_outputs_and_threads(kind: str) -> None:
    """Outputs that are written past the caches, by several threads."""
    first, second = Part("few rows", 64, padding=PADDING), Part(kind, 64, padding=REST_PADDING, seed=5)
    ids = some_ids(6000)
    call = joined([first, second], [Join.ALONE, Join.REST])
    vectors, asked = call(ids, keeps=False)
    assert all(own.addresses is None for own in asked)
    assert torch.equal(vectors, first.vectors(ids) + second.vectors(asked[1].ids))
    factor = joined([second, Part("hash", 1, padding=REST_PADDING)], [Join.ALONE, Join.FACTOR])
    before = torch.get_num_threads()
    multiplied = factor(ids, keeps=True)[0]
    try:
        torch.set_num_threads(3)
        assert threads() > 1
        assert torch.equal(call(ids, keeps=False)[0], vectors)
        assert torch.equal(factor(ids, keeps=True)[0], multiplied)
    finally:
        torch.set_num_threads(before)


def test_what_does_not_fit_is_refused() -> None:
    first, rest = Part("few rows", 8, padding=PADDING), Part("hash", 8, padding=REST_PADDING)
    ids = some_ids(3)
    for parts, joins, message in (
        ([first, first], [Join.ALONE, Join.REST], "a field has no padding"),
        ([first, Part("hash", 4, padding=REST_PADDING)], [Join.ALONE, Join.REST], "another width"),
        ([first, rest], [Join.ALONE, Join.FACTOR], "another width"),
        ([first, rest], [Join.ALONE, Join.ALONE], "the others join it"),
        ([first, Part("hash", 8, padding=[0, 0])], [Join.ALONE, Join.REST], "another number of fields"),
    ):
        with pytest.raises(ValueError, match=message):
            joined(parts, joins)(ids, keeps=True)
    moved = Part("hash", 8, padding=REST_PADDING)
    moved.access.program[0, 0] = 1
    with pytest.raises(ValueError, match="other columns"):
        joined([first, moved], [Join.ALONE, Join.REST])(ids, keeps=True)
    call = joined([first, rest], [Join.ALONE, Join.REST])
    with pytest.raises(IdError, match="negative"):
        call(torch.full((3, FIELDS), NOTHING), keeps=False)
    with pytest.raises(TypeError, match="int64"):
        call(ids.int(), keeps=False)


def test_a_copy_is_none() -> None:
    parts = [Part("few rows", 8, padding=PADDING).prepared()]
    call = Joined(binding.kernels(), parts, [Join.ALONE], FIELDS)
    assert copy.deepcopy(call) is None
    assert call.is_of(parts)
    assert not call.is_of([])
