from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec import native
from pocketrec.native import update
from pocketrec.native.threads import use_threads
from pocketrec.spec.errors import IdError
from pocketrec.spec.optimizer import OptimizerName, OptimizerSpec

NAMES: tuple[OptimizerName, ...] = ("sgd", "rowwise_adagrad", "adagrad", "adam")


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def fresh_state(name: str, regions: list[Tensor], unit: int) -> list[Tensor]:
    if name == "rowwise_adagrad":
        return [torch.zeros(region.numel() // unit) for region in regions]
    copies = {"sgd": 0, "adagrad": 1, "adam": 2}[name]
    return [torch.zeros_like(region) for _ in range(copies) for region in regions]


def batches(rows: int, unit: int, steps: int) -> list[tuple[Tensor, Tensor]]:
    """Distinct addresses with gradients, a different handful in every step."""
    generator = torch.Generator().manual_seed(7)
    return [(torch.randperm(rows, generator=generator)[:4], randn(4, unit, seed=step)) for step in range(steps)]


@pytest.mark.parametrize("name", ["sgd", "adagrad", "adam"])
def test_follows_the_optimizers_of_torch(backend: str, name: OptimizerName) -> None:
    ours, theirs = randn(9, 5), torch.nn.Parameter(randn(9, 5))
    spec = OptimizerSpec(name=name, lr=0.1, eps=1e-6, beta1=0.8, beta2=0.95)
    reference: Any = {
        "sgd": lambda: torch.optim.SGD([theirs], lr=0.1),
        "adagrad": lambda: torch.optim.Adagrad([theirs], lr=0.1, eps=1e-6),
        "adam": lambda: torch.optim.SparseAdam([theirs], lr=0.1, eps=1e-6, betas=(0.8, 0.95)),
    }[name]()
    state = fresh_state(name, [ours], 5)
    for step, (addresses, grads) in enumerate(batches(9, 5, 6), start=1):
        update([ours], state, addresses, grads, spec, step=step)
        theirs.grad = torch.sparse_coo_tensor(addresses[None], grads, (9, 5), check_invariants=True)
        with torch.sparse.check_sparse_tensor_invariants():
            reference.step()
        torch.testing.assert_close(ours, theirs.detach(), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_rowwise_adagrad_against_its_equation(backend: str, l2: float) -> None:
    rows, sums = randn(9, 5), torch.rand(9, generator=torch.Generator().manual_seed(1))
    expected_rows, expected_sums = rows.double(), sums.double()
    spec = OptimizerSpec(name="rowwise_adagrad", lr=0.1, eps=1e-3, l2=l2)
    for step, (addresses, grads) in enumerate(batches(9, 5, 5), start=1):
        update([rows], [sums], addresses, grads, spec, step=step)
        for address, grad in zip(addresses.tolist(), grads.double(), strict=True):
            penalised = grad + l2 * expected_rows[address]
            expected_sums[address] += (penalised**2).mean()
            expected_rows[address] -= 0.1 * penalised / (math.sqrt(expected_sums[address]) + 1e-3)
    torch.testing.assert_close(rows.double(), expected_rows, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(sums.double(), expected_sums, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_l2_is_added_to_the_gradient_of_touched_rows(backend: str, name: OptimizerName) -> None:
    plain, penalised = randn(9, 5), randn(9, 5)
    addresses, grads = batches(9, 5, 1)[0]
    spec = {"lr": 0.1, "eps": 1e-6}
    with_l2 = OptimizerSpec(name=name, l2=0.25, **spec)  # type: ignore[arg-type]
    without = OptimizerSpec(name=name, **spec)  # type: ignore[arg-type]
    update([penalised], fresh_state(name, [penalised], 5), addresses, grads, with_l2, step=1)
    update([plain], fresh_state(name, [plain], 5), addresses, grads + 0.25 * plain[addresses], without, step=1)
    torch.testing.assert_close(penalised, plain, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("unit", [1, 5])
def test_untouched_rows_and_state_keep_every_bit(backend: str, name: OptimizerName, unit: int) -> None:
    regions = [randn(7, unit), randn(0, unit), randn(12, unit, seed=1)]
    regions[0][2] = math.nan  # would spread if it were read into anything
    state = [
        tensor.normal_(generator=torch.Generator().manual_seed(2)).abs_() for tensor in fresh_state(name, regions, unit)
    ]
    before = [tensor.clone() for tensor in (*regions, *state)]
    addresses = torch.tensor([0, 6, 7, 18])  # ends of both regions
    update(regions, state, addresses, randn(4, unit, seed=3), OptimizerSpec(name=name, l2=0.1), step=3)
    touched = {0: [0, 6], 2: [0, 11]}
    for number, (old, new) in enumerate(zip(before, (*regions, *state), strict=True)):
        rows = touched.get(number % 3, [])
        changed = [not torch.equal(a, b) for a, b in zip(old.view(torch.int32), new.view(torch.int32), strict=True)]
        assert [row for row, moved in enumerate(changed) if moved] == rows


@pytest.mark.parametrize("name", NAMES)
def test_regions_in_one_call_are_as_one(backend: str, name: OptimizerName) -> None:
    whole = randn(20, 3)
    parts = [whole[:8].clone(), whole[8:9].clone(), whole[9:].clone()]
    spec = OptimizerSpec(name=name, lr=0.1)
    whole_state, parts_state = fresh_state(name, [whole], 3), fresh_state(name, parts, 3)
    for step, (addresses, grads) in enumerate(batches(20, 3, 4), start=1):
        update([whole], whole_state, addresses, grads, spec, step=step)
        update(parts, parts_state, addresses, grads, spec, step=step)
    assert torch.equal(torch.cat(parts), whole)
    for number, state in enumerate(whole_state):
        assert torch.equal(torch.cat(parts_state[3 * number : 3 * number + 3]), state)


@pytest.mark.parametrize("name", NAMES)
def test_single_weights_of_any_shape(backend: str, name: OptimizerName) -> None:
    flat, square = randn(12), randn(3, 4)
    flat_copy, square_copy = flat.clone().view(12, 1), square.clone().view(12, 1)
    spec = OptimizerSpec(name=name, lr=0.1)
    addresses, grads = torch.tensor([11, 12, 0, 23]), randn(4, 1)
    update([flat, square], fresh_state(name, [flat, square], 1), addresses, grads, spec, step=2)
    update([flat_copy, square_copy], fresh_state(name, [flat_copy, square_copy], 1), addresses, grads, spec, step=2)
    assert torch.equal(flat, flat_copy.view(12))
    assert torch.equal(square, square_copy.view(3, 4))
    assert not torch.equal(flat, randn(12))


def moved(name: OptimizerName, unit: int, l2: float, *, rows: int = 24, touched: int = 13) -> list[Tensor]:
    """Regions and state after a few steps, all bits of which every backend, level and thread count must agree on."""
    regions = [randn(rows - 9, unit), randn(0, unit), randn(9, unit, seed=1)]
    state = fresh_state(name, regions, unit)
    spec = OptimizerSpec(name=name, lr=0.1, eps=1e-5, l2=l2)
    for step in range(1, 4):
        generator = torch.Generator().manual_seed(step)
        addresses = torch.randperm(rows, generator=generator)[:touched]
        update(regions, state, addresses, torch.randn(touched, unit, generator=generator), spec, step=step)
    return [*regions, *state]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("unit", [1, 3, 16, 17, 32, 64, 100, 128])
@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_backends_agree_to_the_bit(compiled: None, name: OptimizerName, unit: int, l2: float) -> None:
    with native.use_backend("compiled"):
        ours = moved(name, unit, l2)
    with native.use_backend("reference"):
        reference = moved(name, unit, l2)
    for a, b in zip(ours, reference, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("unit", [1, 16])
def test_the_number_of_threads_changes_nothing(compiled: None, name: OptimizerName, unit: int) -> None:
    results = []
    for count in (1, 2, 3):
        with native.use_backend("compiled"), use_threads(count):  # enough pairs for three parts
            results.append(moved(name, unit, 0.01, rows=70_000 // unit, touched=60_000 // unit))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert torch.equal(a, b)


_EVERY_KERNEL = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
from test_update import moved, NAMES
digest = hashlib.sha256()
for name in NAMES:
    for unit in (1, 3, 16, 32, 64, 100, 128):
        for l2 in (0.0, 0.01):
            for tensor in moved(name, unit, l2):
                digest.update(tensor.numpy().tobytes())
print(digest.hexdigest())
"""


def test_all_levels_give_the_same_bits(compiled: None) -> None:
    digests = set()
    for level in ("generic", "avx2", "avx512"):  # one that this machine lacks is lowered to the widest that it has
        environment = {**os.environ, "POCKETREC_SIMD": level, "POCKETREC_NATIVE": "1"}
        command = [sys.executable, "-c", _EVERY_KERNEL, str(Path(__file__).parent)]
        digests.add(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
    assert len(digests) == 1
    assert len(digests.pop().strip()) == 64


def test_a_step_of_nothing(backend: str) -> None:
    rows = randn(4, 3)
    update([rows], [], torch.empty(0, dtype=torch.int64), torch.empty(0, 3), OptimizerSpec(name="sgd"), step=1)
    assert torch.equal(rows, randn(4, 3))


def test_parameters_move_and_their_versions_rise(backend: str) -> None:
    weight = torch.nn.Parameter(torch.zeros(4, 3))
    version = weight._version
    update([weight], [], torch.tensor([2]), torch.ones(1, 3), OptimizerSpec(name="sgd", lr=0.5), step=1)
    assert weight[2].tolist() == [-0.5] * 3
    assert weight.grad_fn is None
    assert weight._version > version


@pytest.mark.parametrize("address", [-1, 13, 2**62])
def test_an_address_outside_changes_nothing(backend: str, address: int) -> None:
    regions = [randn(4, 3), randn(9, 3)]
    with pytest.raises(IdError, match=f"address {address} "):
        update(regions, [], torch.tensor([2, address]), torch.ones(2, 3), OptimizerSpec(name="sgd"), step=1)
    assert torch.equal(regions[0], randn(4, 3))
    assert torch.equal(regions[1], randn(9, 3))


def test_what_does_not_fit_is_refused(backend: str) -> None:
    rows, addresses, grads = randn(4, 3), torch.tensor([1]), torch.ones(1, 3)
    sgd, adagrad = OptimizerSpec(name="sgd"), OptimizerSpec(name="adagrad")
    with pytest.raises(
        TypeError, match=r"region 0 must be float32 to be updated in place, its storage is torch\.float16"
    ):
        update([rows.half()], [], addresses, grads, sgd, step=1)
    with pytest.raises(ValueError, match=r"region 1 must be \[rows, 3\] as the gradients are, got \[4, 2\]"):
        update([rows, randn(4, 2)], [], addresses, grads, sgd, step=1)
    with pytest.raises(ValueError, match="adagrad of 1 regions needs 1 state tensors, got 0"):
        update([rows], [], addresses, grads, adagrad, step=1)
    with pytest.raises(
        ValueError, match=r"adagrad state of region 0 must be float32 \[4, 3\], got torch\.float32 \[4\]"
    ):
        update([rows], [torch.zeros(4)], addresses, grads, adagrad, step=1)
    with pytest.raises(ValueError, match="must be contiguous"):
        update([randn(3, 4).t()], [], addresses, grads, sgd, step=1)
    with pytest.raises(ValueError, match="1 addresses, but 2 gradients"):
        update([rows], [], addresses, torch.ones(2, 3), sgd, step=1)
    with pytest.raises(TypeError, match=r"addresses must be int64 \[u\]"):
        update([rows], [], addresses.int(), grads, sgd, step=1)
    with pytest.raises(TypeError, match=r"grads must be float32 \[u, unit\]"):
        update([rows], [], addresses, grads.double(), sgd, step=1)
    with pytest.raises(ValueError, match="step counts from 1, got 0"):
        update([rows], [], addresses, grads, sgd, step=0)
    with pytest.raises(ValueError, match="No update algorithm called 'adamw'"):
        torch.ops.pocketrec.update([rows], [], addresses, grads, "adamw", 0.1, 0, 0, 0, 0, 1)
