from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from pocketrec import native
from pocketrec.native import interact
from pocketrec.native.interact import plain_interact
from pocketrec.native.threads import set_threads

OPS = torch.ops.pocketrec
# around the widths of registers and of blocks of vectors, and what models have
COLUMNS, DIMS = (1, 2, 3, 4, 7, 8, 9, 16, 26, 33, 40, 70), (1, 3, 8, 16, 17, 33, 64, 128)
SHAPES = [(columns, dim) for n, (columns, dim) in enumerate(product(COLUMNS, DIMS)) if n % 5 == 0 or columns == 26]


def inputs(columns: int, dim: int, *, low: bool = True, batch: int = 3, seed: int = 0) -> tuple[Tensor | None, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    vectors = torch.randn(batch, columns, dim, generator=draw)
    return (torch.randn(batch, dim, generator=draw) if low else None), vectors


def in_float64(low: Tensor | None, vectors: Tensor) -> Tensor:
    """The definition, one product at a time."""
    rows = vectors.double() if low is None else torch.cat([low.double()[:, None], vectors.double()], dim=1)
    products = [(rows[:, i] * rows[:, j]).sum(1) for i in range(rows.shape[1]) for j in range(i)]
    ahead = [] if low is None else [low.double()]
    return torch.cat([*ahead, *(p[:, None] for p in products)], dim=1) if ahead or products else rows.new_empty(3, 0)


@pytest.mark.parametrize("low", [True, False])
def test_all_pairs_once_in_order_as_exact_as_float32(backend: str, low: bool) -> None:
    for columns, dim in SHAPES:
        first, vectors = inputs(columns, dim, low=low)
        found, exact = interact(first, vectors), in_float64(first, vectors)
        assert found.shape == exact.shape
        assert found.dtype is torch.float32
        if exact.numel():
            assert (found.double() - exact).norm() <= 1e-6 * exact.norm(), (columns, dim)


@pytest.mark.parametrize("low", [True, False])
def test_gradients_are_those_of_the_definition(backend: str, low: bool) -> None:
    for columns, dim in SHAPES:
        leaves = [t.requires_grad_() for t in inputs(columns, dim, low=low) if t is not None]
        exact_leaves = [t.detach().double().requires_grad_() for t in leaves]
        out = interact(leaves[0] if low else None, leaves[-1])
        exact = in_float64(exact_leaves[0] if low else None, exact_leaves[-1])
        if not exact.numel():
            continue
        grad = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
        found = torch.autograd.grad(out, leaves, grad)
        expected = torch.autograd.grad(exact, exact_leaves, grad.double())
        for ours, theirs in zip(found, expected, strict=True):
            assert (ours.double() - theirs).norm() <= 1e-6 * theirs.norm(), (columns, dim)


def test_a_vector_is_no_pair_with_itself(compiled: None) -> None:
    """So what is not finite reaches its pairs and nothing else, also in the gradient."""
    low, vectors = inputs(5, 8, batch=2)
    assert low is not None
    vectors[1, 2] = torch.inf
    leaves = [low.requires_grad_(), vectors.requires_grad_()]
    out = interact(*leaves)
    assert out[0].isfinite().all()
    grad_low, grad = torch.autograd.grad(out, leaves, torch.ones_like(out))
    assert grad[0].isfinite().all()
    assert grad[1, 2].isfinite().all(), "the sum of the other vectors"
    assert grad_low[1].isinf().all()
    assert grad[1, [0, 1, 3, 4]].isinf().all()


@pytest.mark.parametrize("low_dtype", [torch.float32, torch.bfloat16, None])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_bfloat16_is_rounded_once(backend: str, low_dtype: torch.dtype | None, dtype: torch.dtype) -> None:
    low, vectors = inputs(26, 16)
    assert low is not None
    first = None if low_dtype is None else low.to(low_dtype).requires_grad_()
    rows = vectors.to(dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        found = interact(first, rows)
    exact = in_float64(None if first is None else first.detach(), rows.detach())
    assert found.dtype is (low_dtype or dtype)
    torch.testing.assert_close(found, exact.to(found.dtype), rtol=2**-7 if found.dtype is torch.bfloat16 else 1e-5,
                               atol=1e-5)  # fmt: skip
    found.square().sum().backward()
    assert rows.grad is not None
    assert rows.grad.dtype is dtype
    leaf = rows.detach().double().requires_grad_()
    in_float64(None if first is None else first.detach(), leaf).square().sum().backward()
    assert leaf.grad is not None
    assert (rows.grad.double() - leaf.grad).norm() < 0.01 * leaf.grad.norm()


def test_bfloat16_rounds_to_nearest_even_and_keeps_what_is_not_finite(compiled: None) -> None:
    bits = torch.tensor([0x3F808000, 0x3F818000, 0x3F808001, 0x7F800000, 0x7F800001, 0x7F7FFFFF, 0x00018000])
    numbers = bits.to(torch.int32).view(torch.float32)
    found = interact(torch.ones(7, 1, dtype=torch.bfloat16), numbers.view(7, 1, 1))
    expected = numbers.to(torch.bfloat16)
    assert torch.equal(found[:, 1].isnan(), expected.isnan())
    finite = ~expected.isnan()
    assert torch.equal(found[finite, 1].view(torch.int16), expected[finite].view(torch.int16))


@pytest.mark.parametrize("low", [True, False])
def test_is_a_proper_op(backend: str, low: bool) -> None:
    first, vectors = inputs(3, 4, low=low)
    torch.library.opcheck(OPS.interact_frozen.default, (first, vectors))
    grad = torch.ones_like(interact(first, vectors))
    torch.library.opcheck(OPS.interact_backward.default, (grad, first, vectors))
    if first is not None:
        first.requires_grad_()
    torch.library.opcheck(OPS.interact.default, (first, vectors.requires_grad_()))


class Net(nn.Module):
    def __init__(self, operation: Callable[..., Tensor] = interact) -> None:
        super().__init__()
        self.operation = operation

    def forward(self, low: Tensor, vectors: Tensor) -> Tensor:
        return self.operation(low.relu(), vectors).tanh()


@pytest.mark.parametrize("dynamic", [None, True])
def test_compiles_as_one_graph(backend: str, dynamic: bool | None) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(Net(), fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for batch in (3, 2, 5):
        low, vectors = inputs(6, 8, batch=batch)
        assert low is not None
        leaves, others = [[t.clone().requires_grad_() for t in (low, vectors)] for _ in range(2)]
        found, expected = compiled(*leaves), Net()(*others)
        assert torch.equal(found, expected)
        found.sum().backward()
        expected.sum().backward()
        for ours, theirs in zip(leaves, others, strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("operation", [interact, plain_interact])
def test_exports_with_a_free_batch(backend: str, operation: Callable[..., Tensor]) -> None:
    low, vectors = inputs(6, 8)
    batch = torch.export.Dim("batch")
    net = Net(operation)
    program = torch.export.export(net, (low, vectors), dynamic_shapes=({0: batch}, {0: batch}))
    assert ("pocketrec" in str(program.graph)) is (operation is interact)
    low, vectors = inputs(6, 8, batch=5)
    assert low is not None
    torch.testing.assert_close(program.module()(low, vectors), net(low, vectors))


def test_threads_and_blocks_of_rows_change_no_bit(compiled: None) -> None:
    low, vectors = inputs(26, 16, batch=333)
    assert low is not None
    try:
        results = []
        for count in (1, 2, 5):
            set_threads(count)
            leaves = [t.clone().requires_grad_() for t in (low, vectors)]
            out = interact(*leaves)
            results.append([out, *torch.autograd.grad(out.square().sum(), leaves)])
    finally:
        set_threads(None)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))
    assert torch.equal(results[0][0][100:103], interact(low[100:103], vectors[100:103]))


PROGRAM = """
import hashlib, torch
from pocketrec.native import interact
seen = hashlib.sha256()
for columns, dim in ((26, 16), (7, 5), (40, 64)):
    for dtype in (torch.float32, torch.bfloat16):
        draw = torch.Generator().manual_seed(columns)
        low = torch.randn(9, dim, generator=draw).to(dtype).requires_grad_()
        vectors = torch.randn(9, columns, dim, generator=draw).requires_grad_()
        out = interact(low, vectors)
        for t in (out, *torch.autograd.grad(out.float().square().sum(), (low, vectors))):
            seen.update(t.detach().float().numpy().tobytes())
print(seen.hexdigest())
"""


def test_every_simd_level_gives_the_same_bits(compiled: None) -> None:
    found = set()
    for level in ("generic", "avx2", "avx512"):
        environment = {**os.environ, "POCKETREC_SIMD": level}
        found.add(
            subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True, capture_output=True).stdout
        )
    assert len(found) == 1


def test_works_on_meta_and_on_nothing(backend: str) -> None:
    low, vectors = inputs(6, 8)
    assert low is not None
    assert interact(low.to("meta"), vectors.to("meta")).shape == (3, 8 + 21)
    assert interact(low[:0], vectors[:0]).shape == (0, 8 + 21)
    learning = vectors[:0].requires_grad_()
    interact(None, learning).sum().backward()
    assert learning.grad is not None
    assert learning.grad.shape == (0, 6, 8)


def test_views_are_taken_as_they_are(backend: str) -> None:
    low, vectors = inputs(6, 8)
    assert low is not None
    turned, apart = vectors.transpose(1, 2).contiguous().transpose(1, 2), torch.stack([low, low], dim=2)[:, :, 0]
    assert not turned.is_contiguous()
    assert torch.equal(interact(apart, turned), interact(low, vectors))


def test_backends_agree(compiled: None) -> None:
    low, vectors = inputs(26, 16)
    with native.use_backend("reference"):
        expected = interact(low, vectors)
        torch.testing.assert_close(expected, plain_interact(low, vectors), rtol=0, atol=0)
    torch.testing.assert_close(interact(low, vectors), expected, rtol=1e-5, atol=1e-5)


def test_what_does_not_fit_is_refused(backend: str) -> None:
    low, vectors = inputs(6, 8)
    assert low is not None
    with pytest.raises(
        TypeError, match=r"vectors must be float32 or bfloat16 \[batch, columns, dim\], got torch\.float64"
    ):
        interact(low, vectors.double())
    with pytest.raises(
        TypeError, match=r"low must be float32 or bfloat16 \[batch, dim\], got torch\.float32 \[3, 8, 1\]"
    ):
        interact(low[:, :, None], vectors)
    with pytest.raises(ValueError, match=r"low is \[3, 7\], but vectors are \[3, 6, 8\]"):
        interact(low[:, :7], vectors)
    with pytest.raises(ValueError, match=r"low is \[2, 8\], but vectors are \[3, 6, 8\]"):
        interact(low[:2], vectors)
    with pytest.raises(ValueError, match=r"grad must be torch\.float32 \[3, 29\] as the result is"):
        OPS.interact_backward(torch.ones(3, 28), low, vectors)
