"""Numbers for tokens. A token is known by its hash63: with n tokens, two of them clash with probability n^2 / 2^64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pocketrec.spec.errors import OptionError

__all__ = ["FirstSeen", "Vocabulary"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Vocabulary:
    """Which rank a token has: 12 bytes per token.

    Attributes:
        keys: int64 [n], hash63 of the tokens, rising.
        ranks: int32 [n], the rank of each key: 1..n, each once.
    """

    keys: np.ndarray
    ranks: np.ndarray

    @staticmethod
    def of_tokens(tokens: np.ndarray) -> Vocabulary:
        """From int64 [n] hashes in rank order: the first has rank 1."""
        order = np.argsort(tokens, kind="stable")
        return Vocabulary(keys=tokens[order], ranks=(order + 1).astype(np.int32))

    @staticmethod
    def checked(keys: np.ndarray, ranks: np.ndarray) -> Vocabulary:
        """From arrays of an artifact.

        Raises:
            OptionError: when keys do not rise, or ranks are not 1..n.
        """
        shapes = keys.ndim == ranks.ndim == 1 and len(keys) == len(ranks)
        if not shapes or keys.dtype != np.int64 or ranks.dtype != np.int32:
            raise OptionError(
                f"A vocabulary is int64 [n] and int32 [n], got {keys.dtype} {keys.shape}, {ranks.dtype} {ranks.shape}."
            )
        if (keys[1:] <= keys[:-1]).any() or not np.array_equal(np.sort(ranks), np.arange(1, len(ranks) + 1)):
            raise OptionError("The keys of a vocabulary must rise, and its ranks must be 1 to n, each once.")
        return Vocabulary(keys=keys, ranks=ranks)

    @property
    def size(self) -> int:
        """Tokens that are told apart from unknown."""
        return len(self.keys)

    def ranks_of(self, hashes: np.ndarray) -> np.ndarray:
        """int64, like `hashes` in shape: the rank of each token, 0 for one that is not known."""
        if not self.size:
            return np.zeros(hashes.shape, dtype=np.int64)
        at = np.minimum(np.searchsorted(self.keys, hashes), self.size - 1)
        return np.where(self.keys[at] == hashes, self.ranks[at], 0).astype(np.int64)

    def tokens(self) -> np.ndarray:
        """int64 [n]: the hashes in rank order; the inverse of :meth:`of_tokens`."""
        out = np.empty_like(self.keys)
        out[self.ranks - 1] = self.keys
        return out

    def cut(self, told_apart: int) -> Vocabulary:
        """Only the first tokens by rank; the others become unknown."""
        kept = self.ranks <= told_apart
        return Vocabulary(keys=self.keys[kept], ranks=self.ranks[kept])

    def extended(self, tokens: np.ndarray) -> Vocabulary:
        """With further tokens at the end: int64 [m] hashes in rank order. Those that are known keep their rank."""
        new = tokens[self.ranks_of(tokens) == 0]
        return Vocabulary.of_tokens(np.concatenate([self.tokens(), new]))


class FirstSeen:
    """Numbers tokens 0, 1, 2, ... as they come, while files are read.

    Sorted runs of keys, each less than half as long as the one before, are searched and merged: 12 bytes per token
    and no Python object per token.
    """

    def __init__(self) -> None:
        self.size = 0
        self._runs: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of some tokens; new ones get the next numbers, in order.

        Args:
            hashes: int64 [m], distinct.

        Returns:
            int32 [m] numbers, and int64 [k] the hashes that were new.
        """
        order = np.argsort(hashes, kind="stable")
        sought = hashes[order]
        found = np.full(len(hashes), -1, dtype=np.int32)
        for keys, numbers in self._runs:
            at = np.minimum(np.searchsorted(keys, sought), len(keys) - 1)
            same = keys[at] == sought
            found[same] = numbers[at[same]]
        out = np.empty_like(found)
        out[order] = found
        fresh = np.flatnonzero(out < 0)
        out[fresh] = np.arange(self.size, self.size + len(fresh), dtype=np.int32)
        self.size += len(fresh)
        assert self.size < 2**31
        if len(fresh):
            new = order[found < 0]
            self._runs.append((hashes[new], out[new]))
            self._settle()
        return out, hashes[fresh]

    def _settle(self) -> None:
        while len(self._runs) > 1 and 2 * len(self._runs[-1][0]) >= len(self._runs[-2][0]):
            (keys_b, numbers_b), (keys_a, numbers_a) = self._runs.pop(), self._runs.pop()
            keys = np.concatenate([keys_a, keys_b])
            order = np.argsort(keys, kind="stable")
            self._runs.append((keys[order], np.concatenate([numbers_a, numbers_b])[order]))
