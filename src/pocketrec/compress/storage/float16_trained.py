"""IEEE half precision, while training too: 11 bits of mantissa, largest value 65504 (larger ones are clamped).

Bytes: 2 per weight, in training as well.
Trained in its own type: every update is rounded stochastically, so that small ones arrive in the mean.
"""

from __future__ import annotations

from typing import final

from pocketrec.compress.storage.float16 import Float16

__all__ = ["STORAGE", "Float16Trained"]


@final
class Float16Trained(Float16):
    """float16 rows and arrays that are never anything else."""

    name = "float16_trained"
    trained_as = "float16_trained"


STORAGE = Float16Trained()
