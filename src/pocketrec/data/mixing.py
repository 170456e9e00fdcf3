"""Numbers that look random and are a function of a counter: the same on every machine, in any order."""

from __future__ import annotations

import numpy as np

__all__ = ["mix64", "uniforms"]


def mix64(x: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64 (Steele, Lea, Flood 2014): a permutation of uint64, elementwise."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = x ^ (x >> np.uint64(31))
    return mixed


def uniforms(counters: np.ndarray, stream: int) -> np.ndarray:
    """float64 in [0, 1), one per integer counter; another stream gives other numbers."""
    start = mix64(np.array([stream + 1], dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    mixed = mix64(mix64(counters.astype(np.uint64) + start) ^ start)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
