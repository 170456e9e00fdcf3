"""Which numbers of a table have the largest magnitudes: exactly, over a whole table, or about, from a sample of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SAMPLE", "Cut", "cut_at", "kept_by", "sample_places", "threshold"]

SAMPLE: Final = 65_536
"""Numbers by which a table of more is judged."""

# Numbers that are looked at together, so that no second table is in memory.
_CHUNK_NUMBERS: Final = 1 << 22
_MAGNITUDE: Final = 0x7FFFFFFF  # bits of a float32 without its sign; as integers they have the order of the magnitudes
_LOW_BITS: Final = 16


class Cut(NamedTuple):
    """Where the kept numbers of a table end.

    Attributes:
        bits: magnitude of the smallest that is kept, as the bits of a float32.
        ties: how many of just this magnitude are kept, the first ones of the table.
    """

    bits: int
    ties: int


def cut_at(rows: Tensor, count: int) -> Cut:
    """The cut that keeps the `count` numbers of float32 [rows, dim] with the largest magnitudes; NaN is the largest.

    Two passes over the table, which count magnitudes by their upper and then by their lower bits: nothing is sorted.

    Args:
        rows: contiguous.
        count: 1 to the numbers of the table.
    """
    upper, above = _bucket_of(_counts(rows, None), count)
    lower, more = _bucket_of(_counts(rows, upper), count - above)
    return Cut(upper << _LOW_BITS | lower, count - above - more)


def kept_by(cut: Cut, rows: Tensor, chunk_rows: int) -> Iterator[tuple[int, Tensor]]:
    """First row and mask, bool [rows, dim], of some rows after the other: a multiple of `chunk_rows`, but the last."""
    step = max(1, _CHUNK_NUMBERS // (chunk_rows * rows.shape[1])) * chunk_rows
    left = cut.ties
    for first in range(0, rows.shape[0], step):
        bits = _bits(rows[first : first + step])
        mask, tied = bits > cut.bits, (bits == cut.bits).reshape(-1)
        if left:
            places = tied.nonzero()[:left, 0]
            mask.view(-1)[places] = True
            left -= len(places)
        yield first, mask


def _bits(rows: Tensor) -> Tensor:
    import torch  # here, not above: sizing answers without it

    return rows.detach().view(torch.int32) & _MAGNITUDE


def _counts(rows: Tensor, upper: int | None) -> Tensor:
    """How often each value of the upper bits occurs, or of the lower ones where the upper ones are these."""
    import torch

    found = torch.zeros(1 << _LOW_BITS, dtype=torch.int64)
    step = max(1, _CHUNK_NUMBERS // rows.shape[1])
    for first in range(0, rows.shape[0], step):
        bits = _bits(rows[first : first + step]).view(-1)
        high = bits >> _LOW_BITS
        some = high if upper is None else bits[high == upper] & ((1 << _LOW_BITS) - 1)
        found += torch.bincount(some, minlength=len(found))
    return found


def _bucket_of(counts: Tensor, count: int) -> tuple[int, int]:
    """The bucket of number `count` from above, from 1, and how many stand in those above it."""
    import torch

    above = counts.flip(0).cumsum(0)
    place = int(torch.searchsorted(above, count))
    return len(counts) - 1 - place, int(above[place - 1]) if place else 0


def sample_places(numbers: int, seed: int) -> Tensor:
    """Places of a table that stand for all: int64 [at most SAMPLE], rising and distinct; all where there are no more.

    One is drawn from each of as many stretches of equal length, so ids of every frequency are among them. Equal seeds
    give equal places, whoever asks: nothing must be kept.
    """
    import torch

    from pocketrec.native.mix import mix, shift_right

    if numbers <= SAMPLE:
        return torch.arange(numbers)
    order = torch.arange(SAMPLE)
    # numbers = whole x SAMPLE + part; order x numbers // SAMPLE without a product that may overflow
    whole, part = divmod(numbers, SAMPLE)
    begins, ends = (i * whole + i * part // SAMPLE for i in (order, order + 1))
    return begins + shift_right(mix(order, seed), 1) % (ends - begins)


def threshold(sample: Tensor, share: float) -> float:
    """The magnitude up to which this share of the numbers of a sample lies, the nearest to it; -1 for none of them.

    Args:
        sample: float32 [n], not empty.
        share: 0 to 1.
    """
    count = round(share * sample.numel())
    return float(sample.abs().kthvalue(count).values) if count else -1.0
