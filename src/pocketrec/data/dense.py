"""Dense numbers: the schema's transforms, in one place for training and serving, and mergeable moments."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pocketrec.spec.schema import DenseTransform, Schema

__all__ = ["Moments", "fixed_steps", "standardise", "transformed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Count, mean and spread of numbers; those of two heaps of numbers merge into those of both.

    Attributes:
        count: how many numbers.
        mean: their mean (0 without numbers).
        m2: sum of squared distances from the mean.
        low: the lowest (inf without numbers).
        high: the highest (-inf without numbers).
    """

    count: int = 0
    mean: float = 0.0
    m2: float = 0.0
    low: float = math.inf
    high: float = -math.inf

    @staticmethod
    def of(values: np.ndarray) -> Moments:
        """Of finite numbers [n].

        Sums are rounded once (math.fsum): NumPy's depend in their last bits on where an array lies in memory, and a
        cache made again must have the same bytes.
        """
        if not values.size:
            return Moments()
        wide = values.astype(np.float64)
        mean = math.fsum(wide.tolist()) / wide.size
        m2 = math.fsum(((wide - mean) ** 2).tolist())
        return Moments(count=wide.size, mean=mean, m2=m2, low=float(wide.min()), high=float(wide.max()))

    def merge(self, other: Moments) -> Moments:
        """Of both heaps together (Chan, Golub, LeVeque 1979, eq. 2.1)."""
        count = self.count + other.count
        if not self.count or not other.count:
            return other if other.count else self
        apart = other.mean - self.mean
        return Moments(
            count=count,
            mean=self.mean + apart * other.count / count,
            m2=self.m2 + other.m2 + apart * apart * self.count * other.count / count,
            low=min(self.low, other.low),
            high=max(self.high, other.high),
        )

    @property
    def std(self) -> float:
        """Standard deviation of the heap itself (divided by the count)."""
        return math.sqrt(self.m2 / self.count) if self.count else 0.0


def fixed_steps(values: np.ndarray, transform: DenseTransform) -> np.ndarray:
    """Fill, clip and log1p: the steps that need no fitting.

    Args:
        values: float64 [n], NaN is missing.
        transform: of the field.

    Returns:
        float32 [n], finite.
    """
    x = np.where(np.isnan(values), transform.fill, values)
    if transform.clip is not None:
        x = np.clip(x, *transform.clip)
    if transform.log1p:
        x = np.log1p(np.maximum(x, 0.0))
    return x.astype(np.float32)


def standardise(values: np.ndarray, mean: float, std: float) -> np.ndarray:
    """(values - mean) / std in float64, rounded to float32; 0 where std is 0."""
    if std == 0.0:
        return np.zeros(values.shape, dtype=np.float32)
    return ((values.astype(np.float64) - mean) / std).astype(np.float32)


def transformed(dense: Mapping[str, np.ndarray], schema: Schema, n: int) -> np.ndarray:
    """The dense columns of some rows before standardising.

    Args:
        dense: float64 [n] per dense field, NaN is missing.
        schema: names the fields and their transforms.
        n: number of rows.

    Returns:
        float32 [n, D]: each field after its fixed steps, followed by its missing flag if it has one.
    """
    out = np.empty((n, len(schema.dense_columns)), dtype=np.float32)
    at = 0
    for field in schema.dense:
        out[:, at] = fixed_steps(dense[field.name], field.transform)
        at += 1
        if field.transform.missing_flag:
            out[:, at] = np.isnan(dense[field.name])
            at += 1
    return out
