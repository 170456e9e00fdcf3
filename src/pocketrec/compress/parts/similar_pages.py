"""Which pages of a trained table say about the same, so that one may stand for several.

The search is that of the benchmark (arXiv:2311.15578) after Zhou et al. (VLDB 2022): pages in order of their third
quartile, smallest first; candidates are earlier pages that fall into the same bucket of a locality-sensitive hash; of
these the most alike one is taken, if it is alike enough.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from pocketrec.compress.parts.init import generator

__all__ = ["Alike", "SharedPages", "find_shared_pages", "take_pages"]

# Numbers of a page for which directions of the hash are drawn at a time, and numbers that are compared at a time: what
# the search holds besides the tables is a few MiB.
_DRAWN: Final = 4096
_COMPARED: Final = 1 << 20

_SEED: Final = 1  # of the directions: the same tables are always shared in the same way


@dataclass(frozen=True, slots=True, kw_only=True)
class Alike:
    """When two pages are taken for one.

    Attributes:
        fp: two numbers are the same where they differ by at most so much.
        sim: the least share of numbers that must be the same, 0 to 1.
        width: of a bucket of the hash.
        bands: hashes per page, each along a random direction.
        collisions: in how many bands two pages must share a bucket before they are compared, 1 or more.
    """

    fp: float = 0.01
    sim: float = 0.7
    width: float = 0.09
    bands: int = 90
    collisions: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class SharedPages:
    """Which pages are kept, and which of them stands for each.

    Attributes:
        kept: int64 [kept], numbers of pages, rising.
        map: int32 [pages], from each page to a place in `kept`.
        doublings: how often `fp` and `width` had to be doubled until so few pages were left.
    """

    kept: Tensor
    map: Tensor
    doublings: int


def find_shared_pages(rows: Tensor, page_rows: int, kept: int, alike: Alike) -> SharedPages:
    """Alias pages until `kept` are left.

    Pages that are alike enough go first. Where they are too few, `fp` and `width` are doubled and the pages that are
    left are looked at again; once `fp` spans all numbers, any page is alike to any other. So the number is always
    reached. A page is compared with earlier ones only, aliased or not: what that one stands for, it stands for, too.

    Args:
        rows: float32 [rows, dim], the tables one after the other.
        page_rows: rows of a page. The last page may be shorter: it is compared in what it has, comes last, and no page
            is aliased to it, for it says nothing of the rows that it lacks.
        kept: how many pages may be left, 1 to all of them.
        alike: when pages are taken for one.
    """
    pages = _Pages(rows, page_rows)
    order, aliases, doublings = pages.order(), torch.arange(pages.count), 0
    left = pages.count - kept
    if left:
        projected, offsets = pages.projected(alike.bands)
        spread = float(rows.max() - rows.min())
        while True:
            last = not alike.fp < spread or not math.isfinite(spread)
            hashes = torch.ceil(projected / alike.width + offsets)
            left -= _alias(pages, order, aliases, None if last else hashes, alike, left)
            if not left:
                break
            assert not last, "once all pages are alike, only the first one keeps itself"
            alike, doublings = replace(alike, fp=2 * alike.fp, width=2 * alike.width), doublings + 1
    for page in order.tolist():  # those that it may be aliased to came before it
        aliases[page] = aliases[aliases[page]]
    own = (aliases == torch.arange(pages.count)).nonzero()[:, 0]
    return SharedPages(kept=own, map=torch.searchsorted(own, aliases).int(), doublings=doublings)


def take_pages(rows: Tensor, pages: Tensor, page_rows: int) -> Tensor:
    """Some pages of rows [rows, ...] one after the other: [pages x page_rows, ...]; rows beyond the last are zeros."""
    places = (pages[:, None] * page_rows + torch.arange(page_rows)).flatten()
    inside = int((places < rows.shape[0]).sum())  # pages rise, so what is missing is missing at the end
    found = rows.new_zeros(places.shape[0], *rows.shape[1:])
    torch.index_select(rows, 0, places[:inside], out=found[:inside])
    return found


class _Pages:
    """Numbers of pages, of which the last may be short."""

    def __init__(self, rows: Tensor, page_rows: int) -> None:
        whole, self.count = rows.shape[0] // page_rows, -(-rows.shape[0] // page_rows)
        self.whole = rows[: whole * page_rows].reshape(whole, page_rows * rows.shape[1])
        self.short = rows[whole * page_rows :].reshape(-1)

    def of(self, page: int) -> Tensor:
        """The numbers of a page, those of the short one without what it lacks."""
        return self.whole[page] if page < len(self.whole) else self.short

    def order(self) -> Tensor:
        """int64 [pages], by third quartile, smallest first; the short page last."""
        quartiles = torch.stack([_third_quartile(page) for page in self.whole]) if len(self.whole) else torch.empty(0)
        return torch.cat([quartiles.argsort(stable=True), torch.arange(len(self.whole), self.count)])

    def projected(self, bands: int) -> tuple[Tensor, Tensor]:
        """Products of pages and random directions [pages, bands], and where buckets begin [bands], in widths."""
        draw = generator(_SEED)
        offsets, found = torch.rand(bands, generator=draw), torch.zeros(self.count, bands)
        for begin in range(0, self.of(0).shape[0], _DRAWN):
            whole, short = self.whole[:, begin : begin + _DRAWN], self.short[begin : begin + _DRAWN]
            directions = torch.randn(max(whole.shape[1], short.shape[0]), bands, generator=draw)
            found[: len(whole)] += whole @ directions[: whole.shape[1]]
            found[len(whole) :] += short @ directions[: short.shape[0]]
        return found, offsets

    def most_alike(self, page: int, candidates: Tensor, fp: float) -> tuple[int, float]:
        """The candidate of which the largest share of numbers is the same, the first of equal ones, and that share."""
        own, best = self.of(page), (-1, -1.0)
        for some in torch.split(candidates, max(1, _COMPARED // max(1, len(own)))):
            same = self.whole[some, : len(own)].sub_(own).abs_().le_(fp)  # 1 or 0, in place: a third of the time
            share, place = same.mean(dim=1).max(dim=0)
            if float(share) > best[1]:
                best = int(some[place]), float(share)
            if best[1] >= 1:  # no other is more
                break
        return best


def _alias(pages: _Pages, order: Tensor, aliases: Tensor, hashes: Tensor | None, alike: Alike, most: int) -> int:
    """Alias at most so many of the pages that stand for themselves; without hashes to the most alike of all earlier."""
    done, need = 0, alike.sim if hashes is not None else -1.0
    for place, page in enumerate(order.tolist()):
        if done == most:
            break
        candidates = order[:place]
        if int(aliases[page]) != page:
            continue
        if hashes is not None:
            together = (hashes[candidates] == hashes[page]).sum(dim=1)
            candidates = candidates[together >= alike.collisions]
        if len(candidates):
            found, share = pages.most_alike(page, candidates, alike.fp)
            if share >= need:
                aliases[page] = found
                done += 1
    return done


def _third_quartile(page: Tensor) -> Tensor:
    """The number below which three quarters of a page lie, between its neighbours in proportion."""
    ordered, place = page.sort().values, 0.75 * (page.shape[0] - 1)
    return torch.lerp(ordered[int(place)], ordered[min(int(place) + 1, page.shape[0] - 1)], place - int(place))
