from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from pocketrec.native.program import Storage
from pocketrec.native.regions import stored_rows
from pocketrec.native.rounding import draws, stored_stochastically

DTYPES = (torch.float16, torch.bfloat16, torch.uint8)
BITS = [0x0000, 0x0001, 0x03FF, 0x0400, 0x3C00, 0x7BFE, 0x7BFF, 0x7F7F]  # magnitudes, both formats

GOLDEN_DRAWS = [[61403, 31004, 2973, 45934, 12555], [63521, 60351, 5591, 44330, 61900]]


def back(stored: Tensor, unit: int) -> Tensor:
    code = Storage.INT8 if stored.dtype is torch.uint8 else Storage.FLOAT
    return stored_rows(stored, code, torch.arange(stored.shape[0]), unit)


def test_draws_follow_their_definition(oracle: Any) -> None:
    word = 2**64 - 1
    found = draws(torch.tensor([0, 5, 2**40]), 6, seed=-3, step=7)
    for row, address in zip(found.tolist(), [0, 5, 2**40], strict=True):
        start = oracle.mix(address, oracle.mix(7, -3))
        words = [oracle.fin(start + (i + 1) * 0x9E3779B97F4A7C15 & word) for i in range(2)]
        assert row == [words[d // 4] >> 16 * (d % 4) & 0xFFFF for d in range(6)]


def test_draws_are_frozen() -> None:
    assert draws(torch.tensor([1, 2**62]), 5, seed=9, step=3).tolist() == GOLDEN_DRAWS


def test_draws_differ_by_everything_and_are_even() -> None:
    addresses = torch.arange(5000)
    base = draws(addresses, 8, seed=1, step=1)
    assert base.shape == (5000, 8)
    assert int(base.min()) >= 0
    assert int(base.max()) <= 0xFFFF
    spread = 65536 / math.sqrt(12 * 5000)  # standard error of a mean
    assert ((base.double().mean(dim=0) - 32767.5).abs() < 5 * spread).all()
    for other in (
        draws(addresses, 8, seed=2, step=1),
        draws(addresses, 8, seed=1, step=2),
        base.flip(1),
        base.roll(1, 0),
    ):
        together = torch.corrcoef(torch.stack([base.flatten().double(), other.flatten().double()]))[0, 1]
        assert abs(float(together)) < 5 / math.sqrt(40000)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("sign", [1, -1])
def test_floats_round_to_a_neighbour_with_the_right_probability(dtype: torch.dtype, sign: int) -> None:
    low = torch.tensor(BITS[:-2] if dtype is torch.float16 else BITS, dtype=torch.int16).view(dtype)
    high = (low.view(torch.int16) + 1).view(dtype)
    below, above = low.float()[:, None] * sign, high.float()[:, None] * sign
    finite = torch.isfinite(high.float())
    everything = torch.arange(65536)[None].expand(len(low), -1)
    for share in (0.0, 0.125, 0.5, 1 - 2**-6):  # distances that float32 can hold
        value = below + (above - below) * share
        chosen = stored_stochastically(value.expand(-1, 65536), everything, dtype).float()
        assert (((chosen == below) | (chosen == above)) | ~finite[:, None]).all()
        ups = (chosen == above).double().mean(dim=1)
        assert torch.equal(ups[finite], torch.full_like(ups, share)[finite])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_floats_at_the_ends(dtype: torch.dtype) -> None:
    largest = torch.finfo(dtype).max
    huge = [largest, torch.finfo(torch.float32).max, math.inf]
    values = torch.tensor([[*huge, *(-v for v in huge), math.nan, 0.0, -0.0]])
    for random in (0, 65535):
        found = stored_stochastically(values, torch.full(values.shape, random), dtype).float()
        assert found[0, :6].tolist() == [largest] * 3 + [-largest] * 3
        assert math.isnan(found[0, 6])
        assert found[0, 7:].tolist() == [0.0, 0.0]
        assert math.copysign(1, found[0, 8]) == -1


def test_what_fits_stays() -> None:
    draw = torch.Generator().manual_seed(1)
    bits = torch.randint(-(2**15), 2**15, (4000, 2), generator=draw).to(torch.int16)
    random = torch.randint(0, 65536, (4000, 2), generator=draw)
    for dtype in (torch.float16, torch.bfloat16):
        stored = bits.view(dtype)[torch.isfinite(bits.view(dtype)).all(dim=1)]
        again = stored_stochastically(stored.float(), random[: len(stored)], dtype)
        assert torch.equal(again.view(torch.int16), stored.view(torch.int16))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_rounding_has_no_bias(dtype: torch.dtype, size: float) -> None:
    values = torch.randn(1, 12, generator=torch.Generator().manual_seed(3)) * size
    count = 20_000
    random = draws(torch.arange(count), 12, seed=5, step=1)
    found = back(stored_stochastically(values.expand(count, -1), random, dtype), 12).double()
    error = found.mean(dim=0) - values[0].double()
    # six standard errors, and the 2^-17 of a step that 16 random bits cannot tell
    allowed = 6 * found.std(dim=0) / math.sqrt(count) + (found.amax(dim=0) - found.amin(dim=0)) * 2.0**-16 + size * 1e-6
    assert (error.abs() <= allowed).all()
    assert (found.std(dim=0) > 0).sum() >= 10, "all but least and greatest were rounded"


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_rounding_to_codes_of_16_bits_has_no_bias(size: float) -> None:
    values, count = torch.randn(1, 12, generator=torch.Generator().manual_seed(3)) * size, 20_000
    random = draws(torch.arange(count), 12, seed=5, step=1)
    stored = stored_stochastically(values.expand(count, -1), random, torch.uint8, code_bytes=2)
    assert stored.shape == (count, 12 * 2 + 8)
    found = stored_rows(stored, Storage.INT16, torch.arange(count), 12).double()
    step = float(values.amax() - values.amin()) / 65535
    assert float((found - values.double()).abs().max()) <= 1.01 * step
    error = found.mean(dim=0) - values[0].double()
    # six standard errors, and what float32 cannot tell of a number
    assert (error.abs() <= 6 * found.std(dim=0) / math.sqrt(count) + size * 2.0**-22).all()
    assert (found.std(dim=0) > 0).sum() >= 10, "all but least and greatest were rounded"


def test_codes_of_16_bits_hardly_move_when_they_are_stored_again() -> None:
    """A float32 tells some 256 places between two codes, so one of some hundred moves, by one step, either way."""
    rows = torch.randn(2000, 16, generator=torch.Generator().manual_seed(0))
    once = stored_stochastically(rows, draws(torch.arange(2000), 16, seed=0, step=1), torch.uint8, code_bytes=2)
    read = stored_rows(once, Storage.INT16, torch.arange(2000), 16)
    twice = stored_stochastically(read, draws(torch.arange(2000), 16, seed=0, step=2), torch.uint8, code_bytes=2)
    moved = (once[:, :32].view(torch.int16).int() & 0xFFFF) - (twice[:, :32].view(torch.int16).int() & 0xFFFF)
    assert int(moved.abs().max()) <= 1
    assert float((moved != 0).float().mean()) < 1 / 64
    assert abs(float(moved.float().mean())) < 1 / 512


def test_codes_keep_the_least_and_the_greatest() -> None:
    values = torch.randn(50, 9, generator=torch.Generator().manual_seed(0))
    found = back(stored_stochastically(values, draws(torch.arange(50), 9, seed=0, step=1), torch.uint8), 9)
    assert torch.equal(found.amin(dim=1), values.amin(dim=1))
    torch.testing.assert_close(found.amax(dim=1), values.amax(dim=1), rtol=1e-6, atol=1e-6)
    step = (values.amax(dim=1) - values.amin(dim=1)) / 255
    assert ((found - values).abs().amax(dim=1) <= step * 1.0001).all()


def test_codes_of_odd_rows() -> None:
    rows = torch.tensor(
        [[-0.5, -0.5, -0.5], [0.0, -0.0, 0.0], [math.inf, 1.0, -math.inf], [1.0, math.nan, 2.0], [1e-45, 0.0, 0.0]]
    )
    stored = stored_stochastically(rows, torch.full(rows.shape, 65535), torch.uint8)
    found = back(stored, 3)
    assert found[0].tolist() == [-0.5] * 3
    assert found[1].tolist() == [0.0] * 3
    assert found[2].tolist()[0] == pytest.approx(2.0**126, rel=1e-6)
    assert found[2].tolist()[2] == -(2.0**126)
    assert found[3].isnan().all()
    assert found[4].isfinite().all()
    assert stored[1, 3:].tolist() == [0] * 8, "no negative zero"
