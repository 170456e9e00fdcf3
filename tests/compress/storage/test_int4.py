from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pocketrec.compress.storage.int4 import STORAGE
from pocketrec.native import Access, Storage, lookup, program_row
from pocketrec.testing.storage_contract import StorageContract

HALF_MAX = 65504.0


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def tail_of(stored: Tensor) -> Tensor:
    """Scale and bias of each row: float16 [rows, 2]."""
    return stored[:, -4:].clone(memory_format=torch.contiguous_format).view(torch.float16)


def codes_of(stored: Tensor) -> Tensor:
    """All codes, the padding of odd rows with them: [rows, 2 x bytes]."""
    return torch.stack([stored[:, :-4] & 15, stored[:, :-4] >> 4], dim=2).flatten(1)


class TestInt4(StorageContract):
    storage = STORAGE

    def test_a_row_by_hand(self) -> None:
        """Two codes a byte, the even number in its lower half; then scale, then bias, as float16 in little endian."""
        stored = STORAGE.encode(torch.tensor([[-1.0, 0.0, 14.0, 2.4]]))
        assert stored.tolist() == [[0x10, 0x3F, 0x00, 0x3C, 0x00, 0xBC]]
        assert STORAGE.decode(stored, 4).tolist() == [[-1.0, 0.0, 14.0, 2.0]]

    def test_a_row_of_odd_width_ends_in_an_empty_half(self) -> None:
        stored = STORAGE.encode(torch.tensor([[15.0, 0.0, 15.0]]))
        assert stored.tolist() == [[0x0F, 0x0F, 0x00, 0x3C, 0x00, 0x00]]
        assert STORAGE.decode(stored, 3).tolist() == [[15.0, 0.0, 15.0]]
        assert [STORAGE.row_bytes(width) for width in (1, 2, 3, 16, 17)] == [5, 5, 6, 12, 13]

    def test_a_shared_array_takes_36_bytes_per_64_weights(self) -> None:
        assert [STORAGE.array_shape(n) for n in (1, 64, 65)] == [(1, 36), (1, 36), (2, 36)]
        assert [STORAGE.most_weights(n) for n in (35, 36, 71, 72)] == [0, 64, 64, 128]


class TestTorchsQuantisedBags:
    """The row is that of torch.ops.quantized.embedding_bag_4bit, which knows even widths only."""

    @pytest.mark.parametrize("width", [2, 8, 16, 30, 128])
    def test_torch_reads_our_rows(self, width: int) -> None:
        stored = STORAGE.encode(randn(20, width) * 3 + 1)
        decoded = STORAGE.decode(stored, width)
        assert torch.equal(torch.ops.quantized.embedding_bag_4bit_unpack(stored), decoded)
        ids, offsets = torch.tensor([3, 4, 19]), torch.tensor([0, 2])
        read = torch.ops.quantized.embedding_bag_4bit_rowwise_offsets(stored, ids, offsets)
        torch.testing.assert_close(read, torch.stack([decoded[3] + decoded[4], decoded[19]]))

    @pytest.mark.parametrize("width", [2, 8, 16, 30, 128])
    def test_we_read_torchs_rows(self, width: int) -> None:
        packed = torch.ops.quantized.embedding_bag_4bit_prepack(randn(20, width))
        expected = torch.ops.quantized.embedding_bag_4bit_unpack(packed)
        assert torch.equal(STORAGE.decode(packed, width), expected)
        access = Access(torch.tensor([program_row(size=20)]), (Storage.INT4,), width)
        assert torch.equal(lookup([packed], torch.arange(20)[:, None], access)[:, 0], expected)

    def test_ordinary_rows_are_the_same_bytes(self) -> None:
        rows = randn(200, 16)
        theirs = torch.ops.quantized.embedding_bag_4bit_prepack(rows)
        assert torch.equal(tail_of(STORAGE.encode(rows)), tail_of(theirs))
        assert (codes_of(STORAGE.encode(rows)).int() - codes_of(theirs).int()).abs().max() <= 1, "ties aside"

    def test_they_refuse_odd_widths(self) -> None:
        """If that falls, look at how they lay odd rows out."""
        with pytest.raises(RuntimeError, match="multiple of 2"):
            torch.ops.quantized.embedding_bag_4bit_prepack(randn(4, 5))


class TestNumbersNearTheEdgesOfFloat16:
    def test_like_numbers_keep_their_differences(self) -> None:
        """Near 5 two float16 lie .0039 apart: rounding the bias to nearest would cost 3 of these steps."""
        rows = 5 + torch.linspace(0, 0.001, 16)[None] + 0.0017
        error = (STORAGE.decode(STORAGE.encode(rows), 16) - rows).abs().max()
        assert error <= STORAGE.step_size(rows).item() < 1e-4

    def test_tiny_rows_reach_their_top(self) -> None:
        """A range of 1.4 smallest scales: to nearest, code 15 would stand 6 steps below the top."""
        rows = torch.tensor([[0.0, 15 * 1.4 * 2.0**-24]])
        assert tail_of(STORAGE.encode(rows))[0, 0] == 2 * 2.0**-24
        assert STORAGE.step_size(rows).item() < 1.001 * 2.0**-24, "half a step"
        assert (STORAGE.decode(STORAGE.encode(rows), 2) - rows).abs().max() <= 2.0**-24

    def test_rows_below_the_smallest_scale_are_nearly_zero(self) -> None:
        rows = torch.tensor([[1e-30, -1e-30, 1e-9]])
        assert STORAGE.decode(STORAGE.encode(rows), 3).abs().max() <= 2.0**-24

    def test_the_whole_range_is_finite(self) -> None:
        rows = torch.tensor([[-HALF_MAX, HALF_MAX, 0.0]])
        back = STORAGE.decode(STORAGE.encode(rows), 3)
        assert torch.isfinite(back).all()
        assert ((back - rows).abs() <= STORAGE.step_size(rows)).all()
        assert STORAGE.step_size(rows).item() < HALF_MAX / 14

    def test_what_is_too_large_is_clamped_and_not_infinite(self) -> None:
        rows = torch.tensor([[1e6, 1e6], [-1e6, -1e6], [1e6, -1e6], [torch.inf, 1.0]])
        back = STORAGE.decode(STORAGE.encode(rows), 2)
        torch.testing.assert_close(back.clamp(-HALF_MAX, HALF_MAX), rows.clamp(-HALF_MAX, HALF_MAX), rtol=1e-3, atol=8)
        assert (back.abs() <= 1.001 * HALF_MAX).all()
        assert ((back - rows).abs() <= STORAGE.step_size(rows)).all(), "and the error is owned to"

    def test_a_row_that_is_not_a_number_stays_one(self) -> None:
        rows = torch.tensor([[1.0, torch.nan, 3.0], [1.0, 2.0, 3.0]])
        back = STORAGE.decode(STORAGE.encode(rows), 3)
        assert back[0].isnan().all()
        assert back[1].isfinite().all(), "and spoils no other"


NUMBERS = st.floats(-1e6, 1e6, width=32)
CENTRES = st.sampled_from([0.0, 1.0, -0.37, 100.0, -5000.0, 65000.0]) | NUMBERS
SPREADS = st.sampled_from([0.0, 1e-30, 1e-9, 2.0**-24, 1e-6, 1e-3, 1.0, 1e3])


@st.composite
def any_rows(draw: st.DrawFn) -> Tensor:
    """Rows of numbers of any size, and rows that lie close around a centre."""
    count, width = draw(st.integers(1, 4)), draw(st.integers(1, 9))
    if draw(st.booleans()):
        found = [[draw(NUMBERS) for _ in range(width)] for _ in range(count)]
        return torch.tensor(found, dtype=torch.float32)
    centre, spread = draw(CENTRES), draw(SPREADS)
    found = [[centre + spread * draw(st.floats(-1, 1)) for _ in range(width)] for _ in range(count)]
    return torch.tensor(found, dtype=torch.float32)


@given(any_rows())
def test_any_row_comes_back_within_its_step(rows: Tensor) -> None:
    width = rows.shape[1]
    stored = STORAGE.encode(rows)
    assert tuple(stored.shape) == STORAGE.rows_shape(*rows.shape)
    scale, bias = tail_of(stored).float().unbind(1)
    assert torch.isfinite(scale).all()
    assert torch.isfinite(bias).all()
    assert (scale >= 0).all()
    back = STORAGE.decode(stored, width)
    assert ((back - rows).abs() <= STORAGE.step_size(rows)).all()
    if width % 2:
        assert not codes_of(stored)[:, -1].any(), "the empty half is 0"


@given(any_rows())
def test_a_step_is_never_larger_than_a_scale_of_float16_must_make_it(rows: Tensor) -> None:
    """Half of range / 15 and its rounding; a 29th of the bias's last bit; what is clamped; the rounding of float32."""
    low, high = rows.amin(1, keepdim=True), rows.amax(1, keepdim=True)
    largest = rows.abs().amax(1, keepdim=True)
    bias_bit = largest.clamp(max=HALF_MAX) * 2.0**-10 + 2.0**-24
    clamped = (largest - HALF_MAX).clamp(min=0)
    limit = (high - low) / 30 * 1.001 + bias_bit / 29 + 2.0**-24 + clamped + largest * 2.0**-20
    assert (STORAGE.step_size(rows) <= limit).all()


@given(any_rows())
def test_torch_reads_any_row_of_even_width_as_we_do(rows: Tensor) -> None:
    rows = torch.cat([rows, rows], dim=1)
    stored = STORAGE.encode(rows)
    assert torch.equal(torch.ops.quantized.embedding_bag_4bit_unpack(stored), STORAGE.decode(stored, rows.shape[1]))


@given(any_rows())
def test_the_lookup_reads_any_row_as_we_do(rows: Tensor) -> None:
    stored = STORAGE.encode(rows)
    access = Access(torch.tensor([program_row(size=len(rows))]), (Storage.INT4,), rows.shape[1])
    found = lookup([stored], torch.arange(len(rows))[:, None], access)
    assert torch.equal(found[:, 0], STORAGE.decode(stored, rows.shape[1]))
