"""What laws of synthetic logs draw with: every number is a function of a seed, a name and a counter."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pocketrec.data.mixing import mix64, uniforms

__all__ = ["calibrate", "draw", "normals", "sigmoid", "stream", "token_text", "zipf", "zipf_exactly"]


def stream(seed: int, name: str, number: int = 0) -> int:
    """A number for this seed, use and field, 0 or more; names of at most 32 bytes."""
    word = np.frombuffer(name.encode().ljust(32, b"\0"), dtype=np.uint64)
    start = np.array([seed + 1, number + 1, *word.tolist()], dtype=np.uint64)
    mixed = np.zeros(1, dtype=np.uint64)
    for part in start:
        mixed = mix64(mixed + part + np.array([0x9E3779B97F4A7C15], dtype=np.uint64))
    return int(mixed[0] >> np.uint64(1))


def draw(counters: np.ndarray, seed: int, name: str, number: int = 0) -> np.ndarray:
    """float64 in [0, 1), one per integer counter."""
    return uniforms(counters, stream(seed, name, number))


def normals(counters: np.ndarray, seed: int, name: str, number: int = 0) -> np.ndarray:
    """float64 of mean 0 and variance 1, normal, one per integer counter (Box and Muller 1958)."""
    radius = np.sqrt(-2.0 * np.log1p(-draw(counters, seed, f"{name} r", number)))
    turned: np.ndarray = radius * np.cos(2.0 * np.pi * draw(counters, seed, f"{name} a", number))
    return turned


def zipf(u: np.ndarray, n: int, exponent: float) -> np.ndarray:
    """Places 0..n-1 with frequency in proportion to about (place + 1)^-exponent, from uniforms: the continuous law on
    [1, n + 1), inverted, rounded down. Takes no memory; the first places are a little rarer than Zipf's law has them.
    """
    if abs(exponent - 1.0) < 1e-9:
        x = np.exp(u * np.log(n + 1.0))
    else:
        power = 1.0 - exponent
        x = (1.0 + u * ((n + 1.0) ** power - 1.0)) ** (1.0 / power)
    places: np.ndarray = np.minimum(x.astype(np.int64) - 1, n - 1)
    return places


def zipf_exactly(u: np.ndarray, n: int, exponent: float) -> np.ndarray:
    """Places 0..n-1 with frequency in proportion to (place + 1)^-exponent, from uniforms. Takes 8 n bytes."""
    places: np.ndarray = np.minimum(np.searchsorted(_cumulative(n, exponent), u, side="right"), n - 1)
    return places


@lru_cache(maxsize=32)
def _cumulative(n: int, exponent: float) -> np.ndarray:
    sums = np.cumsum(np.arange(1, n + 1, dtype=np.float64) ** -exponent)
    share: np.ndarray = sums / sums[-1]
    return share


def token_text(tokens: np.ndarray, number: int) -> np.ndarray:
    """uint32: a permutation of 32-bit numbers, another for every stream, so that texts say nothing of their tokens."""
    x = tokens.astype(np.uint32) + np.uint32(number & 0xFFFFFFFF)
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x))."""
    probability: np.ndarray = 1.0 / (1.0 + np.exp(-x))
    return probability


def calibrate(raw: np.ndarray, spread: float, base_rate: float) -> tuple[float, float]:
    """Scale s and intercept b: s * raw + b has the standard deviation `spread`, its mean probability is `base_rate`."""
    scale = spread / max(float(raw.std()), 1e-12)
    low, high = -30.0, 30.0
    for _ in range(60):  # bisection: the mean probability rises with b
        middle = (low + high) / 2
        low, high = (low, middle) if sigmoid(scale * raw + middle).mean() > base_rate else (middle, high)
    return scale, low
