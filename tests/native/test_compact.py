from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec import native
from pocketrec.native import Access, Combining, Kind, Pooling, compact, program_row
from pocketrec.spec.errors import IdError

GROUPS = ("rows", "sum", "product", "hashes", "digits", "blocks", "signatures", "sets", "keyed_codes", "packed_codes")


def output_gradient(call: Any, seed: int = 3) -> Tensor:
    return torch.randn(call.lookup().shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("pooling", [None, *Pooling])
def test_backends_agree_to_the_last_bit(
    compiled: None, make_call: Callable[..., Any], group: str, pooling: int | None
) -> None:
    for dim, batch in ((1, 3), (3, 0), (7, 5), (16, 6), (130, 2)):
        for weighted in (False, True) if pooling == Pooling.SUM else (False,):
            for storage in ("float32", "float16", "int16", "int8", "int4"):
                call = make_call(
                    group, storage=storage, dim=dim, batch=batch, pooling=pooling, weighted=weighted, seed=dim
                )
                grad = output_gradient(call)
                with native.use_backend("compiled"):
                    found = call.compact(grad)
                with native.use_backend("reference"):
                    expected = call.compact(grad)
                assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
                addresses, grads, squares = found
                assert grads.shape == (
                    addresses.shape[0],
                    1 if group in ("blocks", "signatures", "sets", "keyed_codes", "packed_codes") else dim,
                )
                assert squares.shape == (
                    0
                    if group in ("blocks", "signatures", "sets", "keyed_codes", "packed_codes")
                    else addresses.shape[0],
                )


@pytest.mark.parametrize("dim", [5, 16, 64, 128])
def test_sums_of_squares(backend: str, dim: int) -> None:
    """Of single gradients, of sums whose last one comes late, and of more than the caches hold."""
    draw = torch.Generator().manual_seed(dim)
    ids = torch.cat([torch.randperm(20_000, generator=draw), torch.randint(0, 300, (2_000,), generator=draw)])[:, None]
    access = Access(torch.tensor([program_row(size=20_000)]), (0,), dim)
    grad = torch.randn(len(ids), 1, dim, generator=draw)
    addresses, grads, squares = compact(grad, [torch.zeros(20_000, dim)], ids, access)
    expected = torch.zeros(20_000, dim, dtype=torch.float64).index_add_(0, ids[:, 0], grad[:, 0].double())
    torch.testing.assert_close(grads.double(), expected[addresses], rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(squares.double(), grads.double().square().sum(1), rtol=1e-6, atol=0.0)


def test_pairs_stand_in_order_of_first_occurrence_and_duplicates_are_summed(backend: str) -> None:
    rows = [program_row(size=10, padding=7), program_row(column=1, size=4, a=-1, start=10), program_row(size=3, a=0)]
    access = Access(torch.tensor(rows), (0, 0), 2)
    ids = torch.tensor([[5, 3], [7, 9], [5, 2**40]])
    grad = torch.arange(18.0).view(3, 3, 2)
    addresses, grads, _ = compact(grad, [torch.zeros(10, 2), torch.zeros(4, 2)], ids, access)
    # Row by row: 5, 13, fold 0 | padding, null, fold 0 | 5, null, fold 0.
    assert addresses.tolist() == [5, 13, 0]
    assert grads.tolist() == [[0 + 12, 1 + 13], [2, 3], [4 + 10 + 16, 5 + 11 + 17]]


def test_parts_of_one_value_follow_each_other(backend: str) -> None:
    rows = [program_row(kind=Kind.QUOTIENT_REMAINDER, size=4, a=5, n=20)]
    region = torch.arange(9.0)[:, None] + 1
    grad = torch.tensor([[[10.0]], [[100.0]]])
    ids = torch.tensor([[13], [12]])
    sums = Access(torch.tensor(rows), (0,), 1, 2, Combining.SUM)
    addresses, grads, _ = compact(grad, [region], ids, sums)
    assert addresses.tolist() == [3, 6, 5]
    assert grads.flatten().tolist() == [110, 10, 100]
    products = sums._replace(combining=Combining.PRODUCT)
    addresses, grads, _ = compact(grad, [region], ids, products)
    assert addresses.tolist() == [3, 6, 5]
    assert grads.flatten().tolist() == [10 * 7 + 100 * 6, 10 * 4, 100 * 4]


def test_a_block_wraps_and_signs_its_gradient(backend: str, oracle: Any) -> None:
    row = program_row(kind=Kind.BLOCK, start=2, size=7, a=5, b=1, seed=4)
    access = Access(torch.tensor([row]), (0,), 8, 2, Combining.CONCAT)
    grad = torch.arange(1.0, 17.0).view(2, 1, 8)
    ids = [3, 2**53 + 1]
    addresses, grads, _ = compact(grad, [torch.zeros(9)], torch.tensor(ids)[:, None], access)
    expected: dict[int, float] = {}
    for x, own in zip(ids, grad[:, 0].tolist(), strict=True):
        for place, sign, number in zip(*oracle.weights(x, row, 8), own, strict=True):
            expected[place] = expected.get(place, 0) + sign * number
    assert addresses.tolist() == sorted(expected)  # one chunk of 64
    assert grads.flatten().tolist() == [expected[place] for place in sorted(expected)]
    assert min(expected) >= 2


def test_weights_come_in_chunks_of_64(backend: str, oracle: Any) -> None:
    """Chunks in order of first occurrence, rising within: the update walks through memory."""
    row = program_row(kind=Kind.BLOCK, size=10_000, a=4, seed=9)
    access = Access(torch.tensor([row]), (0,), 8, 2, Combining.CONCAT)
    addresses, _, _ = compact(torch.ones(300, 1, 8), [torch.zeros(10_000)], torch.arange(300)[:, None], access)
    places = [place for x in range(300) for place in oracle.weights(x, row, 8)[0]]
    order = {chunk: rank for rank, chunk in enumerate(dict.fromkeys(place // 64 for place in places))}
    assert addresses.tolist() == sorted(set(places), key=lambda place: (order[place // 64], place))


def test_the_first_greatest_value_takes_the_gradient(backend: str) -> None:
    region = torch.tensor([[1.0, 5.0], [2.0, 5.0], [2.0, -1.0], [9.0, 9.0]])
    access = Access(torch.tensor([program_row(size=4, padding=3)]), (0,), 2)
    ids, offsets = torch.tensor([0, 3, 1, 2, 3]), torch.tensor([0, 4, 5])
    grad = torch.tensor([[[10.0, 20.0]], [[1.0, 1.0]]])
    addresses, grads, _ = compact(grad, [region], ids, access, offsets=offsets, pooling=Pooling.MAX)
    # Values that lost were looked up all the same: their rows are among the touched ones.
    assert addresses.tolist() == [0, 1, 2]
    assert grads.tolist() == [[0, 20], [10, 0], [0, 0]]


def test_shared_bags_count_for_every_field(backend: str) -> None:
    access = Access(torch.tensor([program_row(size=5), program_row(start=5, size=5)]), (0,), 1)
    offsets = torch.tensor([[0, 1, 3], [0, 1, 3]])  # both fields read the same bags
    grad = torch.tensor([[[1.0], [10.0]], [[2.0], [20.0]]])
    addresses, grads, _ = compact(
        grad, [torch.zeros(10, 1)], torch.tensor([4, 4, 2]), access, offsets=offsets, pooling=Pooling.SUM
    )
    assert addresses.tolist() == [4, 2, 9, 7]
    assert grads.flatten().tolist() == [3, 2, 30, 20]


def test_many_duplicates_and_neighbours(backend: str) -> None:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 700, (900, 1), generator=generator)
    ids = torch.cat((ids, torch.arange(2**40, 2**40 + 300)[:, None]))
    access = Access(torch.tensor([program_row(kind=Kind.HASH, size=100_000, a=700)]), (0,), 1)
    region = torch.zeros(100_700, 1)
    addresses, grads, _ = compact(torch.ones(1200, 1, 1), [region], ids, access)
    assert addresses.unique().shape == addresses.shape
    assert grads.sum() == 1200
    counts = torch.zeros(100_700).index_add_(0, addresses, grads[:, 0])
    assert torch.equal(counts[:700], torch.bincount(ids[:900, 0], minlength=700).float())


def test_results_need_no_gradient_and_nothing_is_kept(backend: str, make_call: Callable[..., Any]) -> None:
    call = make_call("product")
    for region in call.regions:
        region.requires_grad_()
    assert not any(found.requires_grad for found in call.compact(torch.ones(5, 3, 7)))


@pytest.mark.parametrize("group", ["rows", "sum", "product", "hashes", "digits"])
def test_addresses_that_were_found_are_not_looked_for(backend: str, make_call: Callable[..., Any], group: str) -> None:
    """Some of them no longer what the program says, and negative ones of any kind null addresses."""
    call = make_call(group, dim=7, batch=9, seed=1)
    grad, access = output_gradient(call), call.access
    found = native.addresses(call.ids, access.program, maps=access.maps, parts=access.parts)
    for one, other in zip(call.compact(grad), call.compact(grad, found=found), strict=True):
        assert torch.equal(one, other)
    if group != "product":
        none = torch.full_like(found, -2)
        none[3, 0] = 1
        pairs = call.compact(grad, found=none)
        assert pairs[0].tolist() == [1]
        assert torch.equal(pairs[1], grad.view(-1, 7)[3:4])


def test_addresses_that_cannot_have_been_found_are_refused(backend: str, make_call: Callable[..., Any]) -> None:
    call = make_call("rows", dim=7, batch=9)
    grad, values = output_gradient(call), 9 * len(call.access.program)
    with pytest.raises(ValueError, match="found must be"):
        call.compact(grad, found=torch.zeros(values - 1, 1, dtype=torch.int64))
    with pytest.raises(TypeError, match="found must be int64"):
        call.compact(grad, found=torch.zeros(values, 1))
    with pytest.raises(IdError, match="lies beyond the"):
        call.compact(grad, found=torch.full((values, 1), 10**9))
    for other in (make_call("blocks", dim=8, batch=9), make_call("rows", dim=8, batch=9, pooling=Pooling.SUM)):
        with pytest.raises(ValueError, match="taken for rows, and without offsets"):
            other.compact(output_gradient(other), found=torch.zeros(9, 1, dtype=torch.int64))


def test_a_gradient_of_another_shape_is_refused(backend: str, make_call: Callable[..., Any]) -> None:
    call = make_call("rows")
    with pytest.raises(ValueError, match=r"grad must be \[5, 11, 7\].* got \[5, 11, 6\]"):
        call.compact(torch.ones(5, 11, 6))
    with pytest.raises(TypeError, match=r"grad must be float32, got torch\.float64"):
        call.compact(torch.ones(5, 11, 7).double())


def test_a_gradient_with_strides_is_read_as_it_is(backend: str, make_call: Callable[..., Any]) -> None:
    call = make_call("rows")
    grad = torch.randn(7, 5, 11, generator=torch.Generator().manual_seed(0)).permute(1, 2, 0)
    for found, expected in zip(call.compact(grad), call.compact(grad.contiguous()), strict=True):
        assert torch.equal(found, expected)
    expanded = torch.ones(1).expand(5, 11, 7)  # what the backward of a sum hands over
    assert torch.equal(call.compact(expanded)[1], call.compact(expanded.contiguous())[1])
