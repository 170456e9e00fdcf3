"""Whose row a row is, as a number that tells users apart whatever a vocabulary or a table folds."""

from __future__ import annotations

import numpy as np

from pocketrec.data.statistics import MISSING_HASH

__all__ = ["NOBODY", "user_keys"]

# A row without a user belongs to nobody; all other keys are 0 or more.
NOBODY = -1


def user_keys(hashes: np.ndarray) -> np.ndarray:
    """int64 [n]: the keys of users from the hash63 of their tokens, int64 [n]."""
    return np.where(hashes == MISSING_HASH, NOBODY, hashes)
