"""The upper half of a float32, while training too: its range, 8 bits of mantissa.

Bytes: 2 per weight, in training as well.
Trained in its own type: every update is rounded stochastically, so that small ones arrive in the mean.
"""

from __future__ import annotations

from typing import final

from pocketrec.compress.storage.bfloat16 import Bfloat16

__all__ = ["STORAGE", "Bfloat16Trained"]


@final
class Bfloat16Trained(Bfloat16):
    """bfloat16 rows and arrays that are never anything else."""

    name = "bfloat16_trained"
    trained_as = "bfloat16_trained"


STORAGE = Bfloat16Trained()
