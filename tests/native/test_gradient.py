from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pocketrec import native
from pocketrec.native import Access, Combining, Kind, Pooling, lookup, program_row
from pocketrec.spec.optimizer import OptimizerSpec

MODES = ("sum", "mean", "max")
IDS = torch.tensor([3, 3, 8, 0, 9, 3, 1, 1, 1, 7, 5])
OFFSETS = torch.tensor([0, 3, 3, 4, 9, 11, 11])


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def gradients(output: Tensor, *leaves: Tensor) -> tuple[Tensor, ...]:
    """Gradients of a loss that weighs every number of the output differently."""
    return torch.autograd.grad((output * randn(*output.shape, seed=9)).sum(), leaves)


class TestAgainstEmbeddingBag:
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("padding", [None, 3])
    @pytest.mark.parametrize("sparse", [False, True])
    def test_rows(self, backend: str, mode: str, padding: int | None, sparse: bool) -> None:
        weight = randn(10, 5).requires_grad_()
        access = Access(torch.tensor([program_row(size=10, padding=-1 if padding is None else padding)]), (0,), 5)
        found = lookup([weight], IDS, access, offsets=OFFSETS, pooling=Pooling[mode.upper()], sparse=sparse)
        expected = functional.embedding_bag(
            IDS, weight, OFFSETS, mode=mode, include_last_offset=True, padding_idx=padding,
            sparse=sparse and mode != "max",
        )  # fmt: skip
        (ours,) = gradients(found, weight)
        (theirs,) = gradients(expected[:, None], weight)
        assert ours.is_sparse == sparse
        torch.testing.assert_close(ours.to_dense(), theirs.to_dense(), rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("padding", [None, 3])
    def test_weights_and_rows(self, backend: str, padding: int | None) -> None:
        weight, factors = randn(10, 5).requires_grad_(), randn(11, seed=1).requires_grad_()
        access = Access(torch.tensor([program_row(size=10, padding=-1 if padding is None else padding)]), (0,), 5)
        found = lookup([weight], IDS, access, offsets=OFFSETS, weights=factors, pooling=Pooling.SUM)
        expected = functional.embedding_bag(
            IDS, weight, OFFSETS, mode="sum", include_last_offset=True, per_sample_weights=factors, padding_idx=padding
        )
        for ours, theirs in zip(
            gradients(found, weight, factors), gradients(expected[:, None], weight, factors), strict=True
        ):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)

    def test_weights_alone(self, backend: str) -> None:
        factors = randn(11, seed=1).requires_grad_()
        access = Access(torch.tensor([program_row(size=10)]), (0,), 5)
        found = lookup([randn(10, 5)], IDS, access, offsets=OFFSETS, weights=factors, pooling=Pooling.SUM)
        assert gradients(found, factors)[0].shape == (11,)


def pooled(table: Tensor, ids: Tensor, call: Any, field: int) -> Tensor:
    """One field of a call looked up in its explicit table."""
    if call.offsets is None:
        return functional.embedding(ids, table)
    batch = (call.offsets.shape[0] - 1) // call.access.program.shape[0]
    offsets = call.offsets[field * batch : (field + 1) * batch + 1]
    bags = [ids[a:b] for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]
    lengths = torch.tensor([0, *map(len, bags)]).cumsum(0)
    mode = Pooling(call.pooling).name.lower()
    return functional.embedding_bag(torch.cat(bags), table, lengths, mode=mode, include_last_offset=True)


@pytest.mark.parametrize("pooling", [None, Pooling.SUM, Pooling.MEAN, Pooling.MAX])
@pytest.mark.parametrize("flags", range(8))
def test_blocks_against_an_explicit_table(backend: str, oracle: Any, pooling: int | None, flags: int) -> None:
    dim, length, known = 7, 3, 40
    rows = [
        program_row(kind=Kind.BLOCK, column=1, start=0, size=25, a=length, b=flags, seed=1),
        program_row(kind=Kind.LINEAR_BLOCK, column=0, start=20, size=30, a=length, p=1001, q=77, seed=5),
    ]
    array = randn(50).requires_grad_()
    access = Access(torch.tensor(rows), (0,), dim, math.ceil(dim / length), Combining.CONCAT)
    tables = []
    for row in rows:
        places, signs = zip(*(oracle.weights(x, row, dim) for x in range(known)), strict=True)
        tables.append(array[torch.tensor(places)] * torch.tensor(signs))
    check_against_tables(array, tables, access, [1, 0], known, pooling)


def check_against_tables(
    leaf: Tensor, tables: list[Tensor], access: Access, columns: list[int], known: int, pooling: int | None
) -> None:
    """The lookup over `leaf` and its gradient are those of the tables that were made from `leaf`."""
    generator = torch.Generator().manual_seed(1)
    if pooling is None:
        ids = torch.randint(known, (9, 2), generator=generator)
        found = lookup([leaf], ids, access)
        per_field, offsets = [ids[:, column] for column in columns], None
    else:
        offsets = torch.tensor([0, 3, 3, 8, 9, 15, 18, 18, 21])
        ids = torch.randint(known, (21,), generator=generator)
        found = lookup([leaf], ids, access, offsets=offsets, pooling=pooling)
        per_field = [ids, ids]
    call = SimpleNamespace(offsets=offsets, access=access, pooling=pooling)
    expected = torch.stack(
        [pooled(t, i, call, f) for f, (t, i) in enumerate(zip(tables, per_field, strict=True))], dim=1
    )
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gradients(found, leaf)[0], gradients(expected, leaf)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pooling", [None, Pooling.SUM, Pooling.MEAN, Pooling.MAX])
@pytest.mark.parametrize("combining", [Combining.SUM, Combining.PRODUCT])
def test_quotient_remainder_against_an_explicit_table(backend: str, pooling: int | None, combining: int) -> None:
    memory = randn(40, 6).requires_grad_()
    rows = [
        program_row(kind=Kind.QUOTIENT_REMAINDER, column=1, start=0, size=7, a=6, n=40, p=11, q=3),
        program_row(kind=Kind.QUOTIENT_REMAINDER, column=0, start=13, size=5, a=30, n=37),
    ]
    ids = torch.arange(40)
    tables = []
    for _, _, start, size, _, a, _, n, _, p, q, *_ in rows:
        permuted = (torch.where(ids < n, ids, 0) * p + q) % n
        quotient, remainder = memory[start + permuted // size], memory[a + permuted % size]
        tables.append(quotient + remainder if combining == Combining.SUM else quotient * remainder)
    access = Access(torch.tensor(rows), (0,), 6, 2, combining)
    check_against_tables(memory, tables, access, [1, 0], 40, pooling)


@pytest.mark.parametrize("pooling", [None, Pooling.SUM, Pooling.MEAN, Pooling.MAX])
def test_hashed_and_mapped_rows_against_an_explicit_table(backend: str, oracle: Any, pooling: int | None) -> None:
    memory = randn(30, 4).requires_grad_()
    maps = torch.randint(-1, 12, (20,), generator=torch.Generator().manual_seed(5))
    rows = [
        program_row(kind=Kind.HASH, column=1, start=3, size=11, a=2, seed=77),
        program_row(kind=Kind.MAPPED, column=0, start=18, size=19, a=19),
    ]
    padded = torch.cat((memory, torch.zeros(1, 4)))  # the null address -1 reads the last row
    tables = [padded[torch.tensor([oracle.addresses(x, row, 1, maps.tolist())[0] for x in range(50)])] for row in rows]
    access = Access(torch.tensor(rows), (0,), 4, maps=maps)
    check_against_tables(memory, tables, access, [1, 0], 50, pooling)


@pytest.mark.parametrize(
    "group",
    ["rows", "sum", "product", "hashes", "digits", "blocks", "signatures", "sets", "keyed_codes", "packed_codes"],
)
@pytest.mark.parametrize("pooling", [None, Pooling.NONE, Pooling.SUM, Pooling.MEAN])  # a maximum may change hands
def test_numeric_gradient_in_every_direction(
    backend: str, make_call: Callable[..., Any], group: str, pooling: int | None
) -> None:
    call = make_call(group, batch=3, dim=4, pooling=pooling)
    for region in call.regions:
        region.requires_grad_()
    out = call.lookup()
    weigh = randn(*out.shape, seed=4)
    grads = torch.autograd.grad((out * weigh).sum(), call.regions)
    with torch.no_grad():
        directions = [randn(*region.shape, seed=5) for region in call.regions]
        losses = []
        for step in (1e-3, -1e-3):
            for region, direction in zip(call.regions, directions, strict=True):
                region += step * direction
            losses.append((call.lookup().double() * weigh).sum())
            for region, direction in zip(call.regions, directions, strict=True):
                region -= step * direction
    numeric = (losses[0] - losses[1]) / 2e-3
    exact = sum((g.double() * d).sum() for g, d in zip(grads, directions, strict=True))
    torch.testing.assert_close(exact, numeric, rtol=2e-3, atol=2e-3)


def test_each_region_gets_its_own_gradient(backend: str, make_call: Callable[..., Any]) -> None:
    call = make_call("rows", dim=3)
    wanted = [call.regions[0].requires_grad_(), call.regions[3].requires_grad_()]
    sparse = torch.autograd.grad(call.lookup(sparse=True).sum(), wanted)
    dense = torch.autograd.grad(call.lookup().sum(), wanted)
    for region, a, b in zip(wanted, dense, sparse, strict=True):
        assert a.shape == region.shape
        assert torch.equal(a, b.to_dense())
        assert b.is_sparse
        assert a.abs().sum() > 0


def test_an_untouched_region_gets_zeros(backend: str) -> None:
    regions = [randn(4, 2).requires_grad_(), randn(5, 2).requires_grad_()]
    access = Access(torch.tensor([program_row(size=4)]), (0, 0), 2)
    for sparse in (False, True):
        grads = torch.autograd.grad(lookup(regions, torch.tensor([[1], [3]]), access, sparse=sparse).sum(), regions)
        assert grads[0].to_dense().sum() == 4
        assert grads[1].to_dense().shape == (5, 2)
        assert not grads[1].to_dense().any()


@pytest.mark.parametrize("storage", [torch.float16, torch.bfloat16])
def test_gradients_have_the_dtype_of_their_region(backend: str, storage: torch.dtype) -> None:
    region = randn(6, 3).to(storage).requires_grad_()
    access = Access(torch.tensor([program_row(size=6)]), (0,), 3)
    for sparse in (False, True):
        (grad,) = torch.autograd.grad(lookup([region], torch.tensor([[2], [2]]), access, sparse=sparse).sum(), [region])
        assert grad.dtype == storage
        assert grad.to_dense()[2].tolist() == [2, 2, 2]


def test_blocks_are_dense_even_when_sparse_is_asked_for(backend: str) -> None:
    array = randn(20).requires_grad_()
    access = Access(torch.tensor([program_row(kind=Kind.BLOCK, size=20, a=4)]), (0,), 4, 1, Combining.CONCAT)
    (grad,) = torch.autograd.grad(lookup([array], torch.tensor([[2]]), access, sparse=True).sum(), [array])
    assert not grad.is_sparse
    assert grad.sum() == 4


@pytest.mark.parametrize("storage", ["int16", "int8", "int4"])
def test_codes_take_no_gradient(backend: str, make_call: Callable[..., Any], storage: str) -> None:
    call = make_call("rows", storage=storage)
    assert not call.lookup().requires_grad


def test_a_region_changed_before_the_backward_is_noticed(backend: str) -> None:
    weight = randn(10, 5).requires_grad_()
    access = Access(torch.tensor([program_row(size=10)]), (0,), 5)
    out = lookup([weight], torch.tensor([[1]]), access)
    native.update([weight], [], torch.tensor([1]), torch.ones(1, 5), OptimizerSpec(name="sgd"), step=1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


def test_under_no_grad_and_inference_mode(backend: str) -> None:
    weight = randn(10, 5).requires_grad_()
    access = Access(torch.tensor([program_row(size=10)]), (0,), 5)
    with torch.no_grad():
        assert not lookup([weight], torch.tensor([[1]]), access).requires_grad
    with torch.inference_mode():
        assert torch.equal(lookup([weight], torch.tensor([[1]]), access)[0], weight[1:2])
