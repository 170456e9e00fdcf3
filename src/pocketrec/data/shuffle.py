"""The order of rows in an epoch: a pure function of (seed, epoch), in bounded memory, with random access.

Rows are cut into blocks; the blocks are permuted; several permuted blocks make a window, and rows are permuted within
their window. A row can so go anywhere, and any place of the order can be computed without what comes before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["BLOCK_ROWS", "WINDOW_BLOCKS", "Shuffle"]

BLOCK_ROWS = 1024
WINDOW_BLOCKS = 128
"""A window is 131,072 rows: 48 MB for Criteo's 26 fields and 13 dense numbers, 1 MB for its order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shuffle:
    """An order of rows 0..rows-1.

    Attributes:
        rows: how many.
        seed: of the run.
        epoch: of the run; each has its own order.
    """

    rows: int
    seed: int
    epoch: int

    @property
    def windows(self) -> int:
        """How many windows there are."""
        return -(-self._blocks // WINDOW_BLOCKS)

    @property
    def _blocks(self) -> int:
        return -(-self.rows // BLOCK_ROWS)

    def block_order(self) -> np.ndarray:
        """int64 [blocks]: the blocks in their new order."""
        return _generator(self.seed, self.epoch, 0).permutation(self._blocks)

    def starts(self, block_order: np.ndarray) -> np.ndarray:
        """int64 [windows + 1]: the place in the order where each window begins, and the end."""
        sizes = np.full(self._blocks, BLOCK_ROWS, dtype=np.int64)
        if self._blocks:
            sizes[-1] = self.rows - (self._blocks - 1) * BLOCK_ROWS
        ends = np.concatenate([[0], np.cumsum(sizes[block_order])])
        return np.append(ends[: self._blocks : WINDOW_BLOCKS], self.rows).astype(np.int64)

    def window(self, block_order: np.ndarray, index: int) -> np.ndarray:
        """int64 [n]: the rows of one window, in their order."""
        blocks = block_order[index * WINDOW_BLOCKS : (index + 1) * WINDOW_BLOCKS].astype(np.int64)
        rows = (blocks[:, None] * BLOCK_ROWS + np.arange(BLOCK_ROWS)).ravel()
        rows = rows[rows < self.rows]
        return rows[_generator(self.seed, self.epoch, 1 + index).permutation(len(rows))]


def _generator(seed: int, epoch: int, stream: int) -> np.random.Generator:
    """Counter-based: every (seed, epoch, stream) has its own numbers."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, epoch, stream])))
