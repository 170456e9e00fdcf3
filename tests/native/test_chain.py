"""Tensor trains: op against definition, the definition against whole contractions, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pocketrec.native import Access, Combining, Kind, Pooling, compact, lookup, program_row, use_backend
from pocketrec.native.chain import chain_addresses, chain_of

DIMS, RANK = (2, 2, 4), 3
TRAIN = {"kind": Kind.CHAIN, "n": RANK, "u": 3, "a": 2, "r": 2, "s": 4, "t": 1, "b": 3, "p": 4, "q": 5, "global": 1}


def cores(seed: int = 0, rank: int = RANK) -> tuple[Tensor, list[Tensor]]:
    """A region, and the cores that it holds: [3, 2, r], [4, r, 2, r], [5, r, 4]."""
    draw = torch.Generator().manual_seed(seed)
    first = torch.randn(3, 2, rank, generator=draw)
    middle = torch.randn(4, rank, 2, rank, generator=draw)
    last = torch.randn(5, rank, 4, generator=draw)
    turned = last.transpose(1, 2)
    return torch.cat([part.reshape(-1, rank) for part in (first, middle, turned)]), [first, middle, last]


def access(rank: int = RANK, *, size: int = 60, **more: int) -> Access:
    row = program_row(**TRAIN | {"size": size, "n": rank} | more)
    return Access(torch.tensor([row]), (0,), 16, 3, Combining.CONTRACT)


def test_all_ids_are_the_contraction_of_the_cores(backend: str) -> None:
    region, (first, middle, last) = cores()
    whole = torch.einsum("iar,jrbs,ksc->ijkabc", first, middle, last).reshape(60, 16)
    torch.testing.assert_close(lookup([region], torch.arange(60)[:, None], access())[:, 0], whole)


def test_ids_beyond_the_table_are_id_0_and_padding_is_zeros(backend: str) -> None:
    region, _ = cores()
    found = lookup([region], torch.tensor([[0], [59], [57], [2**62]]), access(size=58, padding=57))[:, 0]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[3])
    assert not found[2].any()


def test_digits_are_a_bijection() -> None:
    row = torch.tensor([program_row(**TRAIN | {"size": 60, "start": 7})]).expand(60, -1)
    found = chain_addresses(torch.arange(60), row, None, 3)
    assert len(found.unique(dim=0)) == 60
    # the first core has 3 slices of 2 rows, the next 4 of 2 x rank, the last 5 of 4
    assert found[0].tolist() == [7, 7 + 6, 7 + 6 + 24]
    assert found[59].tolist() == [7 + 4, 7 + 6 + 18, 7 + 6 + 24 + 16]


@pytest.mark.parametrize("rank", [1, 5, 16, 20])
@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_the_kernel_has_the_bits_of_the_definition(compiled: None, rank: int, storage: str) -> None:
    region, ids = cores(rank=rank)[0].to(getattr(torch, storage)), torch.randint(60, (200, 1))
    found = {}
    for name in ("reference", "compiled"):
        with use_backend(name):  # type: ignore[arg-type]
            found[name] = lookup([region], ids, access(rank))
    assert torch.equal(found["reference"], found["compiled"])


def test_gradients_are_those_of_the_contraction(backend: str) -> None:
    region, parts = cores()
    leaves = [part.requires_grad_() for part in parts]
    ids, draw = torch.tensor([[7], [8], [7], [59], [0]]), torch.Generator().manual_seed(1)
    grad = torch.randn(5, 1, 16, generator=draw)
    whole = torch.einsum("iar,jrbs,ksc->ijkabc", *leaves).reshape(60, 16)
    (whole[ids[:, 0]] * grad[:, 0]).sum().backward()
    expected = torch.cat(
        [g.reshape(-1, RANK) for g in (leaves[0].grad, leaves[1].grad, leaves[2].grad.transpose(1, 2))]  # type: ignore[union-attr, misc]
    )
    addresses, grads, squares = compact(grad, [region], ids, access())
    assert addresses.tolist() == sorted(set(addresses.tolist()))
    assert len(squares) == 0
    dense = torch.zeros_like(region).index_copy_(0, addresses, grads)
    torch.testing.assert_close(dense, expected)
    untouched = torch.ones(len(region), dtype=torch.bool)
    untouched[addresses] = False
    assert not expected[untouched].any()
    assert expected[addresses].any(dim=1).all(), "rows of slices that were touched, and no others"


def ring(outer: int, rank: int, cores: int) -> tuple[Tensor, list[Tensor], Access]:
    """A region, the cores that it holds, [p, R, q, r], [p, r, q, r] and [p, r, q, R], and how they are read."""
    draw, (first, *middle, last) = torch.Generator().manual_seed(cores), [3, 4, 2, 5][:cores]
    parts = [torch.randn(first, outer, 2, rank, generator=draw)]
    parts += [torch.randn(p, rank, 2, rank, generator=draw) for p in middle]
    parts.append(torch.randn(last, rank, 4, outer, generator=draw))
    held = [*parts[:-1], parts[-1].permute(0, 3, 2, 1)]  # the last core's slices are turned
    rows = dict(zip(("b", "p", "q", "global"), [first, *middle, last, 1, 1], strict=False))
    dims = dict(zip(("a", "r", "s", "t"), [2] * (cores - 1) + [4, 1, 1], strict=False))
    row = program_row(
        kind=Kind.CHAIN, n=rank, u=cores, seed=outer, size=math.prod(p.shape[0] for p in parts), **rows, **dims
    )
    access = Access(torch.tensor([row]), (0,), 2 ** (cores + 1), cores, Combining.CONTRACT)
    return torch.cat([part.reshape(-1, rank) for part in held]), parts, access


def traces(parts: list[Tensor]) -> Tensor:
    """All vectors of a ring, by the definition: traces of the products of slices."""
    found, *others = parts
    for core in others:
        found = torch.einsum("ixar,jrby->ijxaby", found, core).flatten(0, 1).flatten(2, 3)
    return torch.einsum("ixax->ia", found)


@pytest.mark.parametrize("cores", [2, 3, 4])
@pytest.mark.parametrize(("outer", "rank"), [(1, 3), (2, 3), (3, 2), (4, 16), (2, 20)])
def test_a_ring_is_traces_of_products(backend: str, outer: int, rank: int, cores: int) -> None:
    region, parts, how = ring(outer, rank, cores)
    leaves = [part.requires_grad_() for part in parts]
    whole = traces(leaves)
    ids = torch.tensor([*range(len(whole)), 1, 1, 7])[:, None]
    torch.testing.assert_close(lookup([region], ids, how)[:, 0], whole.detach()[ids[:, 0]], rtol=1e-4, atol=1e-4)
    few = ids[::2]
    grad = torch.randn(len(few), 1, whole.shape[1], generator=torch.Generator().manual_seed(1))
    (whole[few[:, 0]] * grad[:, 0]).sum().backward()
    wanted = [leaf.grad for leaf in leaves if leaf.grad is not None]
    wanted[-1] = wanted[-1].permute(0, 3, 2, 1)
    addresses, grads, _ = compact(grad, [region], few, how)
    dense = torch.zeros_like(region).index_copy_(0, addresses, grads)
    torch.testing.assert_close(dense, torch.cat([g.reshape(-1, rank) for g in wanted]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rank", [2, 16])
def test_a_ring_has_the_bits_of_the_definition(compiled: None, rank: int) -> None:
    region, _, how = ring(3, rank, 3)
    ids, found = torch.randint(60, (200, 1), generator=torch.Generator().manual_seed(0)), {}
    for name in ("reference", "compiled"):
        with use_backend(name):  # type: ignore[arg-type]
            found[name] = lookup([region], ids, how)
    assert torch.equal(found["reference"], found["compiled"])


def test_many_ids_with_few_slices(compiled: None) -> None:
    """More products with one slice than are found at once, and ids that are sorted by counts."""
    region, _, how = ring(2, 16, 3)
    wide = program_row(
        kind=Kind.CHAIN, n=16, u=3, a=2, r=2, s=4, t=1, b=40, p=2, q=9, seed=2, size=720, **{"global": 1}
    )
    how = how._replace(program=torch.tensor([wide]))
    draw = torch.Generator().manual_seed(5)
    region = torch.randn(40 * 4 + 2 * 32 + 9 * 8, 16, generator=draw)
    ids, grad = torch.randint(720, (4000, 1), generator=draw), torch.randn(4000, 1, 16, generator=draw)
    found = []
    for name in ("reference", "compiled"):
        with use_backend(name):  # type: ignore[arg-type]
            found.append((lookup([region], ids, how), *compact(grad, [region], ids, how)))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    torch.testing.assert_close(found[0][2], found[1][2], rtol=1e-3, atol=1e-3)


def test_cores_that_train_have_gradients(backend: str) -> None:
    region = cores()[0].requires_grad_()
    ids = torch.tensor([[3], [44]])
    lookup([region], ids, access()).square().sum().backward()
    with torch.no_grad():
        grads = compact(2 * lookup([region], ids, access()), [region], ids, access())
    assert region.grad is not None
    torch.testing.assert_close(region.grad, torch.zeros_like(region).index_copy_(0, grads[0], grads[1]))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_no_bit(compiled: None, threads: int) -> None:
    region, _ = cores(rank=16)
    ids = torch.from_numpy(np.random.default_rng(0).integers(0, 60, (4096, 1)))
    grad = torch.randn(4096, 1, 16, generator=torch.Generator().manual_seed(2))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = lookup([region], ids, access(16)), *compact(grad, [region], ids, access(16))
        torch.set_num_threads(threads)
        together = lookup([region], ids, access(16)), *compact(grad, [region], ids, access(16))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


def test_bags_of_fields_that_share_values(backend: str) -> None:
    """Offsets of two axes may give one value to two fields; without pooling the later field has it."""
    region, _ = cores()
    row = program_row(**TRAIN | {"size": 60})
    other = program_row(**TRAIN | {"size": 60, "padding": 4})
    both = Access(torch.tensor([row, other]), (0,), 16, 3, Combining.CONTRACT)
    ids, offsets = torch.tensor([4, 9, 9, 31]), torch.tensor([[0, 2, 4], [0, 1, 3]])
    found = lookup([region], ids, both, offsets=offsets, pooling=Pooling.SUM)
    single = lookup([region], ids[:, None], access())[:, 0]
    expected = [[single[0] + single[1], torch.zeros(16)], [single[2] + single[3], single[1] + single[2]]]
    torch.testing.assert_close(found, torch.stack([torch.stack(row) for row in expected]))


@pytest.mark.parametrize(
    ("rows", "dim", "combining", "message"),
    [
        ([{}], 16, Combining.SUM, "chain and combining CONTRACT need one another"),
        ([{"kind": Kind.ROW, "b": 0}], 16, Combining.CONTRACT, "chain and combining CONTRACT need one another"),
        ([{}], 15, Combining.CONTRACT, "the same factors of its dim"),
        ([{}, {"a": 4, "r": 1}], 16, Combining.CONTRACT, "the same factors of its dim"),
        ([{}, {"n": 2}], 16, Combining.CONTRACT, "the same n and the same seed"),
        ([{}, {"seed": 2}], 16, Combining.CONTRACT, "the same n and the same seed"),
    ],
)
def test_chains_stand_alone(backend: str, rows: list[dict[str, int]], dim: int, combining: int, message: str) -> None:
    program = torch.tensor([program_row(**TRAIN | {"size": 60} | row) for row in rows])
    region = cores()[0] if combining == Combining.CONTRACT else torch.zeros(50, dim)
    with pytest.raises(ValueError, match=message):
        lookup([region], torch.tensor([[5]]), Access(program, (0,), dim, 3, combining))


def test_cores_must_be_as_wide_as_the_rank_and_as_long_as_the_slices(backend: str) -> None:
    region, _ = cores()
    with pytest.raises(ValueError, match="cores of rank 3 need rows of so many numbers"):
        lookup([torch.zeros(len(region), 4)], torch.tensor([[5]]), access())
    with pytest.raises(IndexError, match=f"address {len(region) - 1} lies beyond the {len(region) - 1} rows"):
        lookup([region[:-1]], torch.tensor([[59]]), access())


def test_what_fields_have_in_common() -> None:
    chain = chain_of(program_row(**TRAIN | {"size": 60}))
    assert (chain.factors, chain.rank, chain.slice_rows) == (DIMS, RANK, (2, 2 * RANK, 4))


@pytest.mark.parametrize("group", ["chains_2", "chains_3", "chains_4", "rings_2", "rings_3", "rings_4"])
@pytest.mark.parametrize("pooling", [None, *Pooling])
def test_gradients_of_both_backends_are_close(
    compiled: None, make_call: Callable[..., Any], group: str, pooling: int | None
) -> None:
    for dim, weighted in ((1, False), (8, False), (16, pooling == Pooling.SUM)):
        call = make_call(group, dim=dim, batch=20, pooling=pooling, weighted=weighted)
        grad = torch.randn(call.lookup().shape, generator=torch.Generator().manual_seed(3))
        found = []
        for name in ("reference", "compiled"):
            with use_backend(name):  # type: ignore[arg-type]
                found.append(call.compact(grad))
        (addresses, grads, _), (others, nearly, _) = found
        assert torch.equal(addresses, others)
        torch.testing.assert_close(grads, nearly, rtol=1e-4, atol=1e-4)


def test_negative_ids_are_told(backend: str, make_call: Callable[..., Any]) -> None:
    call = make_call("chains_3")
    call.ids[0, 1] = -1
    with pytest.raises(IndexError, match="negative"):
        call.lookup()
