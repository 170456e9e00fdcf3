"""Count tokens in bounded memory: exactly up to a bound, beyond it a sample of the distinct ones with a known error.

Beyond the bound the tokens with the smallest mixed hashes are kept ("k minimum values", Bar-Yossef et al. 2002; counts
of the kept ones stay exact, "adaptive sampling", Flajolet 1990), which is a uniform sample of the distinct tokens; the
frequent ones are kept besides by mergeable Misra-Gries counters (Agarwal et al. 2012).
"""

from __future__ import annotations

import math
from typing import final

import numpy as np

from pocketrec.data.mixing import mix64
from pocketrec.spec.errors import OptionError

__all__ = ["KEPT_TOKENS", "TokenSketch"]

# 16 bytes each: 2 MiB per column. The error of an estimate is then 0.3 %.
KEPT_TOKENS = 1 << 17
_FREQUENT = 4096


@final
class TokenSketch:
    """How many distinct tokens there are, how many occur once, and how often the most frequent ones do.

    Args:
        keep: tokens told apart exactly, 16 or more.
    """

    def __init__(self, keep: int = KEPT_TOKENS) -> None:
        if keep < 16:
            raise OptionError(f"A sketch keeps 16 tokens or more, got {keep}.")
        self.keep, self.occurrences, self.exact = keep, 0, True
        self._kept = _Counts.empty()
        self._frequent: _Counts | None = None  # None while all tokens are kept
        self._waiting: list[_Counts] = []
        self._waiting_tokens = 0

    def add(self, hashes: np.ndarray, counts: np.ndarray) -> None:
        """Count tokens.

        Args:
            hashes: int64 [m], any numbers that tell tokens apart; the same one perhaps several times.
            counts: int64 [m], 0 or more.
        """
        met = _Counts(mix64(hashes[counts > 0].astype(np.uint64)), counts[counts > 0].astype(np.int64))
        self.occurrences += int(met.counts.sum())
        self._waiting.append(met)
        self._waiting_tokens += len(met.keys)
        # Merged only when as much has come together as is kept, so that a pass costs about one sort of its tokens.
        if self._waiting_tokens > self.keep:
            self._settle()

    def merge(self, other: TokenSketch) -> None:
        """Take all that `other` counted; `other` may only settle. Both must have the same `keep`."""
        if other.keep != self.keep:
            raise OptionError(f"Sketches that keep {self.keep:,} and {other.keep:,} tokens cannot be merged.")
        self._settle()
        other._settle()
        if not (self.exact and other.exact):
            mine = self._kept if self._frequent is None else self._frequent
            theirs = other._kept if other._frequent is None else other._frequent
            self._frequent = mine.plus(theirs).thinned(_FREQUENT)
        edges = [s._kept.keys[-1] for s in (self, other) if not s.exact]
        self.occurrences += other.occurrences
        self.exact = self.exact and other.exact
        merged = self._kept.plus(other._kept)
        self._keep_smallest(merged if not edges else merged.through(min(edges)))

    @property
    def distinct(self) -> int:
        """Distinct tokens: a number where `exact`, else an estimate."""
        self._settle()
        if self.exact:
            return len(self._kept.keys)
        return round((len(self._kept.keys) - 1) / ((int(self._kept.keys[-1]) + 1) / 2**64))

    @property
    def error_fraction(self) -> float:
        """Relative standard error of `distinct`; 0 where it is exact."""
        self._settle()
        return 0.0 if self.exact else 1 / math.sqrt(max(len(self._kept.keys) - 2, 1))

    @property
    def singleton_fraction(self) -> float:
        """Share of the distinct tokens that occur once; of a sample of `keep` of them where not exact."""
        self._settle()
        return float((self._kept.counts == 1).mean()) if len(self._kept.counts) else 0.0

    def top_fraction(self, tokens: int) -> float:
        """Share of the occurrences that so many most frequent tokens make up.

        Where not exact, it may be too small by `tokens` / 4096 at most.
        """
        self._settle()
        counts = (self._kept if self._frequent is None else self._frequent).counts
        top = np.sort(counts)[::-1][:tokens].sum()
        return float(top) / self.occurrences if self.occurrences else 0.0

    def _settle(self) -> None:
        """Merge what waits."""
        if not self._waiting:
            return
        new = _Counts.joined(self._waiting)
        self._waiting, self._waiting_tokens = [], 0
        if self._frequent is not None:
            self._frequent = self._frequent.plus(new).thinned(_FREQUENT)
        # A token beyond the edge was let go before, so its count would be too small: it stays out.
        self._keep_smallest(self._kept.plus(new if self.exact else new.through(self._kept.keys[-1])))

    def _keep_smallest(self, counts: _Counts) -> None:
        if len(counts.keys) > self.keep:
            if self._frequent is None:
                self._frequent = counts.thinned(_FREQUENT)
            counts, self.exact = counts.first(self.keep), False
        self._kept = counts


@final
class _Counts:
    """Keys uint64 [n] rising, and their counts int64 [n]."""

    __slots__ = ("counts", "keys")

    def __init__(self, keys: np.ndarray, counts: np.ndarray) -> None:
        self.keys, self.counts = keys, counts

    @staticmethod
    def empty() -> _Counts:
        return _Counts(np.zeros(0, np.uint64), np.zeros(0, np.int64))

    @staticmethod
    def joined(parts: list[_Counts]) -> _Counts:
        """From parts whose keys need not rise."""
        keys, where = np.unique(np.concatenate([p.keys for p in parts]), return_inverse=True)
        counts = np.zeros(len(keys), np.int64)
        np.add.at(counts, where, np.concatenate([p.counts for p in parts]))
        return _Counts(keys, counts)

    def plus(self, other: _Counts) -> _Counts:
        return _Counts.joined([self, other])

    def through(self, last: np.uint64) -> _Counts:
        """Those with keys up to `last`."""
        return self.first(int(np.searchsorted(self.keys, last, side="right")))

    def first(self, n: int) -> _Counts:
        return _Counts(self.keys[:n], self.counts[:n])

    def thinned(self, most: int) -> _Counts:
        """At most so many: the count of the first one beyond them is taken off all (Misra and Gries)."""
        if len(self.counts) <= most:
            return self
        less = np.partition(self.counts, len(self.counts) - most - 1)[len(self.counts) - most - 1]
        left = self.counts > less
        return _Counts(self.keys[left], self.counts[left] - less)
