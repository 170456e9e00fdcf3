"""Rows of 16-bit codes with a scale and a bias of their own, while training too: value = code x scale + bias.

Bytes: as int16: 2 x width + 8 per row, in training as well; 136 per 64 weights of a shared array.
Trained in its own type: every update fits scale and bias of its row anew and rounds the codes stochastically, so that
    small updates arrive in the mean, down to some 2^-8 of a step: float32 arithmetic tells no more. Shared arrays are
    trained as float32: their weights are updated one by one, and 64 of them have one scale.
"""

from __future__ import annotations

from typing import final

from pocketrec.compress.storage.int16 import Int16

__all__ = ["STORAGE", "Int16Trained"]


@final
class Int16Trained(Int16):
    """Asymmetric 16-bit codes per row that are never anything else."""

    name = "int16_trained"
    trained_as = "int16_trained"
    array_trained_as = "float32"


STORAGE = Int16Trained()
