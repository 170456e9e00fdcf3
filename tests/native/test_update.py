from __future__ import annotations

import hashlib
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
from pocketrec.native.learned_scale import codes_on_scale, scale_gradient, scale_of
from pocketrec.native.program import Storage
from pocketrec.native.regions import stored_rows
from pocketrec.native.rounding import draws, stored_stochastically
from pocketrec.native.threads import use_threads
from pocketrec.spec.errors import IdError
from pocketrec.spec.optimizer import OptimizerName, OptimizerSpec

NAMES: tuple[OptimizerName, ...] = ("sgd", "rowwise_adagrad", "adagrad", "adam")
REGIONS = (
    ("float32", "float32", "float32"), ("float16", "float16", "float16"), ("bfloat16", "bfloat16", "bfloat16"),
    ("int8", "int8", "int8"), ("int8", "float32", "bfloat16"), ("float32", "int8", "float16"),
    ("int16", "int16", "int16"), ("int16", "int8", "float32"),
)  # fmt: skip


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def fresh_state(name: str, regions: list[Tensor], unit: int) -> list[Tensor]:
    if name == "rowwise_adagrad":
        return [torch.zeros(units(region, unit)) for region in regions]
    copies = {"sgd": 0, "adagrad": 1, "adam": 2}[name]
    shapes = [(region.shape[0], unit) if region.dtype is torch.uint8 else region.shape for region in regions]
    return [torch.zeros(shape) for _ in range(copies) for shape in shapes]


def units(region: Tensor, unit: int) -> int:
    return region.shape[0] if region.dtype is torch.uint8 else region.numel() // unit


def stored(rows: Tensor, storage: str) -> Tensor:
    """A region of the storage that holds about these rows."""
    code_bytes = {"int8": 1, "int16": 2}.get(storage)
    dtype = torch.uint8 if code_bytes else getattr(torch, storage)
    if dtype is torch.float32:
        return rows
    random = draws(torch.arange(len(rows)), rows.shape[1], seed=9, step=1)
    return stored_stochastically(rows, random, dtype, code_bytes=code_bytes or 1)


def bits(tensor: Tensor) -> Tensor:
    return tensor.contiguous().view(torch.uint8)


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


def moved(
    name: OptimizerName, unit: int, l2: float, storages: tuple[str, ...] = ("float32",) * 3, *, rows: int = 24,
    touched: int = 13,
) -> list[Tensor]:  # fmt: skip
    """Regions and state after a few steps, all bits of which every backend, level and thread count must agree on."""
    starts = [randn(rows - 9, unit), randn(0, unit), randn(9, unit, seed=1)]
    regions = [stored(start, storage) for start, storage in zip(starts, storages, strict=True)]
    state = fresh_state(name, regions, unit)
    spec = OptimizerSpec(name=name, lr=0.1, eps=1e-5, l2=l2)
    for step in range(1, 4):
        generator = torch.Generator().manual_seed(step)
        addresses = torch.randperm(rows, generator=generator)[:touched]
        grads = torch.randn(touched, unit, generator=generator)
        update(regions, state, addresses, grads, spec, step=step, seed=5)
    return [*regions, *state]


def moved_on_learned_scales(name: OptimizerName, unit: int, l2: float) -> list[Tensor]:
    """As `moved`, rows of codes among others, whose scales learn. Some weights leave the range."""
    starts = [randn(15, unit), randn(0, unit), randn(9, unit, seed=1)]
    coded = [stored_on(start, 0.02) for start in starts[:2]]
    regions = [*coded, starts[2]]
    scales = [torch.zeros(len(region)) for region in coded]
    kinds = {"sgd": 0, "rowwise_adagrad": 1, "adagrad": 1, "adam": 2}[name]
    state = [*fresh_state(name, regions, unit), *(s.clone() for _ in range(kinds) for s in (*scales, torch.empty(0)))]
    spec = OptimizerSpec(name=name, lr=0.3, eps=1e-5, l2=l2)
    for step in range(1, 4):
        generator = torch.Generator().manual_seed(step)
        addresses = torch.randperm(24, generator=generator)[:13]
        grads = torch.randn(13, unit, generator=generator)
        update(regions, state, addresses, grads, spec, step=step, seed=5, scale_lr=1e-3, batch=7)
    return [*regions, *state]


def stored_on(rows: Tensor, scale: float) -> Tensor:
    random = draws(torch.arange(len(rows)), rows.shape[1], seed=9, step=1)
    return codes_on_scale(rows, random, torch.full((len(rows),), scale))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("unit", [1, 3, 16, 17, 64, 100])
@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_backends_agree_on_learned_scales_to_the_bit(compiled: None, name: OptimizerName, unit: int, l2: float) -> None:
    with native.use_backend("compiled"):
        ours = moved_on_learned_scales(name, unit, l2)
    with native.use_backend("reference"):
        assert_same_bits(ours, moved_on_learned_scales(name, unit, l2))
    assert len(scale_of(ours[0], unit).unique()) > 5, "no scale moved"


@pytest.mark.parametrize("name", NAMES)
def test_learned_scales_follow_the_optimizers_of_torch(backend: str, name: OptimizerName) -> None:
    """Row-wise Adagrad's rule for one number per row is Adagrad's."""
    region, scale = stored_on(randn(1, 8) * 0.3, 0.01), torch.nn.Parameter(torch.tensor([0.01]))
    spec = OptimizerSpec(name=name, lr=0.1, eps=1e-6, beta1=0.8, beta2=0.95)
    reference: Any = {
        "sgd": lambda: torch.optim.SGD([scale], lr=1e-3),
        "rowwise_adagrad": lambda: torch.optim.Adagrad([scale], lr=1e-3, eps=1e-6),
        "adagrad": lambda: torch.optim.Adagrad([scale], lr=1e-3, eps=1e-6),
        "adam": lambda: torch.optim.SparseAdam([scale], lr=1e-3, eps=1e-6, betas=(0.8, 0.95)),
    }[name]()
    kinds = {"sgd": 0, "rowwise_adagrad": 1, "adagrad": 1, "adam": 2}[name]
    state = [*fresh_state(name, [region], 8), *(torch.zeros(1) for _ in range(kinds))]
    for step in range(1, 6):
        grads = randn(1, 8, seed=step)
        plain, plain_state = values(region, 8), [s.clone() for s in state[:kinds]]
        update([plain], plain_state, torch.tensor([0]), grads, spec, step=step)  # the row as it moves, not yet rounded
        pull = scale_gradient(plain, grads, scale.detach(), batch=3)
        scale.grad = torch.sparse_coo_tensor(torch.tensor([[0]]), pull, (1,), check_invariants=True)
        update([region], state, torch.tensor([0]), grads, spec, step=step, scale_lr=1e-3, batch=3)
        with torch.sparse.check_sparse_tensor_invariants():
            reference.step()
        torch.testing.assert_close(scale_of(region, 8), scale.detach(), rtol=1e-5, atol=1e-8)
        cut = torch.minimum(torch.maximum(plain, -128 * scale), 127 * scale)
        assert float((values(region, 8) - cut).detach().abs().max()) <= 1.001 * float(scale.detach())
    assert abs(float(scale.detach()) - 0.01) > 1e-6


def test_a_scale_stays_above_zero_whatever_pulls_at_it(backend: str) -> None:
    region = stored_on(torch.full((1, 4), 0.5), 0.01)
    update(
        [region],
        [],
        torch.tensor([0]),
        torch.full((1, 4), 1e3),
        OptimizerSpec(name="sgd", lr=1e-9),
        step=1,
        scale_lr=1.0,
    )
    assert 0 < float(scale_of(region, 4)) <= 0.01
    assert values(region, 4).isfinite().all()


def test_state_of_learned_scales_is_asked_for(backend: str) -> None:
    region, spec = stored_on(randn(4, 3), 0.01), OptimizerSpec(name="rowwise_adagrad")
    addresses, grads = torch.tensor([1]), torch.ones(1, 3)
    with pytest.raises(ValueError, match="rowwise_adagrad of 1 regions needs 2 state tensors, got 1"):
        update([region], [torch.zeros(4)], addresses, grads, spec, step=1, scale_lr=1e-3)
    with pytest.raises(ValueError, match=r"state of the scales of region 0 must be float32 \[4\], .*got .* \[3\]"):
        update([region], [torch.zeros(4), torch.zeros(3)], addresses, grads, spec, step=1, scale_lr=1e-3)
    with pytest.raises(ValueError, match=r"batch 1 or more, got 0\.001 and 0"):
        update([region], [torch.zeros(4)] * 2, addresses, grads, spec, step=1, scale_lr=1e-3, batch=0)
    with pytest.raises(ValueError, match=r"got -1\.0 and 1"):
        update([region], [torch.zeros(4)] * 2, addresses, grads, spec, step=1, scale_lr=-1.0)


def assert_same_bits(some: list[Tensor], others: list[Tensor]) -> None:
    for a, b in zip(some, others, strict=True):
        assert torch.equal(bits(a), bits(b))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("unit", [1, 3, 16, 17, 32, 64, 100, 128])
@pytest.mark.parametrize("l2", [0.0, 0.01])
@pytest.mark.parametrize("storages", REGIONS, ids="-".join)
def test_backends_agree_to_the_bit(
    compiled: None, name: OptimizerName, unit: int, l2: float, storages: tuple[str, ...]
) -> None:
    with native.use_backend("compiled"):
        ours = moved(name, unit, l2, storages)
    with native.use_backend("reference"):
        assert_same_bits(ours, moved(name, unit, l2, storages))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.uint8])
@pytest.mark.parametrize("unit", [5, 64])
def test_backends_agree_on_odd_numbers(compiled: None, dtype: torch.dtype, unit: int) -> None:
    odd = torch.tensor([0.0, -0.0, 6e-8, -3e-5, 2.0**-14, 65504.0, -7e4, 3e38, -math.inf, math.inf, 1e-45, 1e-39])
    results = []
    for backend in ("compiled", "reference"):
        region = torch.zeros(200, unit + 8 if dtype is torch.uint8 else unit, dtype=dtype)
        with native.use_backend(backend):  # type: ignore[arg-type]
            grads = odd[torch.randint(len(odd), (200, unit), generator=torch.Generator().manual_seed(2))]
            grads[7, 2] = math.nan
            update([region], [], torch.arange(200), grads, OptimizerSpec(name="sgd", lr=1.0), step=4, seed=1)
        # the bits of a NaN have no meaning
        results.append([region.masked_fill(region.isnan(), 0) if dtype.is_floating_point else region])
    assert_same_bits(*results)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("unit", [1, 16])
@pytest.mark.parametrize("storages", REGIONS[:1] + REGIONS[-1:], ids="-".join)
def test_the_number_of_threads_changes_nothing(
    compiled: None, name: OptimizerName, unit: int, storages: tuple[str, ...]
) -> None:
    results = []
    for count in (1, 2, 3):
        with native.use_backend("compiled"), use_threads(count):  # enough pairs for three parts
            results.append(moved(name, unit, 0.01, storages, rows=70_000 // unit, touched=60_000 // unit))
    for other in results[1:]:
        assert_same_bits(results[0], other)


@pytest.mark.parametrize("storage", ["float16", "bfloat16", "int8", "int16"])
def test_small_updates_arrive_in_the_mean_and_vanish_when_rounded_to_nearest(backend: str, storage: str) -> None:
    """Each of 200 steps is a hundredth of a step between neighbours; of 16-bit codes a tenth, since float32 tells only
    some 256 places between two of them."""
    count = 400
    row = torch.tensor([-1.0, 1.0, 0.25, 0.7, -0.4, 0.1])
    gap = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "int8": 2 / 255, "int16": 2 / 65535}[storage]
    region = stored(row.expand(count, -1).contiguous(), storage)
    start, share = values(region, 6), 0.1 if storage == "int16" else 0.01
    grads = torch.zeros(count, 6)
    grads[:, 3] = share * gap  # neither the least nor the greatest
    for step in range(1, 201):
        update([region], [], torch.arange(count), grads, OptimizerSpec(name="sgd", lr=1.0), step=step, seed=3)
    change = (values(region, 6) - start).double()
    error = change[:, 3].std() / math.sqrt(count)
    assert (
        abs(float(change[:, 3].mean()) + 200 * share * gap)
        < 5 * error + (200 / 512 if storage == "int16" else 0.01) * gap
    )
    assert error < 0.2 * gap * (1 if storage != "int16" else 2)
    assert (change.mean(dim=0)[[0, 1, 2, 4, 5]].abs() < 5 * change.std(dim=0)[[0, 1, 2, 4, 5]] / 20 + 1e-6).all()

    nearest = start[0, 3]  # on the grid
    moved_to = nearest - 0.01 * gap
    if not storage.startswith("int"):
        assert moved_to.to(getattr(torch, storage)) == nearest
    else:
        assert torch.round((moved_to + 1) / gap) == torch.round((nearest + 1) / gap)


def values(region: Tensor, unit: int) -> Tensor:
    codes = Storage.INT16 if region.shape[1:] == (2 * unit + 8,) else Storage.INT8
    code = codes if region.dtype is torch.uint8 else Storage.FLOAT
    return stored_rows(region, code, torch.arange(region.shape[0]), unit)


def test_rounding_depends_on_seed_and_step_and_not_on_the_order_of_pairs(backend: str) -> None:
    spec, grads, addresses = OptimizerSpec(name="sgd", lr=0.01), randn(30, 8, seed=2), torch.arange(30)

    def after(order: Tensor, step: int, seed: int) -> Tensor:
        region = stored(randn(30, 8), "bfloat16")
        update([region], [], addresses[order], grads[order], spec, step=step, seed=seed)
        return region

    first = after(addresses, 1, 1)
    assert torch.equal(first, after(torch.randperm(30, generator=torch.Generator().manual_seed(0)), 1, 1))
    assert not torch.equal(first, after(addresses, 2, 1))
    assert not torch.equal(first, after(addresses, 1, 2))


def digest_of_every_kernel() -> str:
    digest = hashlib.sha256()
    for name in NAMES:
        for unit in (1, 3, 16, 64, 100):
            for storages in REGIONS:
                for tensor in moved(name, unit, 0.01, storages):
                    digest.update(bits(tensor).numpy().tobytes())
            for tensor in moved_on_learned_scales(name, unit, 0.01):
                digest.update(bits(tensor).numpy().tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("level", ["generic", "avx2"])  # one that this machine lacks is lowered to the widest it has
def test_all_levels_give_the_same_bits(compiled: None, level: str) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_update; print(test_update.digest_of_every_kernel())"
    )
    environment = {**os.environ, "POCKETREC_SIMD": level, "POCKETREC_NATIVE": "1"}
    command = [sys.executable, "-c", program, str(Path(__file__).parent)]
    found = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()
    with native.use_backend("compiled"):
        assert found == digest_of_every_kernel(), f"{level} differs from the widest level of this machine"


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
    with pytest.raises(TypeError, match=r"region 0 must be float32, .* its storage is torch\.float64"):
        update([rows.double()], [], addresses, grads, sgd, step=1)
    with pytest.raises(ValueError, match=r"region 0 must be \[rows, 11\] as the gradients are, got \[4, 3\]"):
        update([rows.byte()], [], addresses, grads, sgd, step=1)
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
        torch.ops.pocketrec.update([rows], [], addresses, grads, "adamw", 0.1, 0, 0, 0, 0, 1, 0)
