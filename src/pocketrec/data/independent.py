"""A law without company: tokens of different fields have nothing to do with each other, each acts for itself.

What a method may share here, it must share blindly: nothing tells which tokens are alike, for none are. Frequent tokens
decide; who gives them memory of their own wins, and, when popularity moves on, who notices. Fields hold no numbers::

    logit = b + s * [ sum_f 0.55 x_f(t_f) + sum_(f < g) 0.35^2 <v_f(t_f), v_g(t_g)> ]      v of 4 numbers

with all x and v normal, of variance 1. Within a field, frequencies follow Zipf's law; tokens are numbered by it, and
the popularity of all of them moves by `shift` of the field from each of `phases` equal parts of the log to the next:
the token of place r is then that of number r + shift * phase. Everything is a function of (seed, row).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pocketrec.data.draws import calibrate, draw, normals, sigmoid, stream, token_text, zipf_exactly
from pocketrec.data.planted import PlantedRows

__all__ = ["IndependentLaw"]

_FIRST_ORDER, _PAIRS, _RANK = 0.55, 0.35, 4
_CALIBRATION_ROWS = 16_384
_CALIBRATION_START = 1 << 50  # rows that no log has


@dataclass(frozen=True, slots=True, kw_only=True)
class IndependentLaw:
    """A law to draw rows from.

    Attributes:
        cardinalities: tokens per field.
        seed: another seed, another law and other rows.
        zipf: exponent of the frequencies, above 0.
        shift: by which share of a field popularity moves on from phase to phase, 0..1; whole tokens, so that small
            fields may stand still.
        phases: equal parts of the log, 1 or more.
    """

    cardinalities: tuple[int, ...]
    seed: int
    zipf: float
    shift: float
    phases: int

    def calibrated(self, spread: float, base_rate: float) -> tuple[float, float]:
        """Scale s and intercept b that give the logit its standard deviation and clicks their rate."""
        rows = np.arange(_CALIBRATION_START, _CALIBRATION_START + _CALIBRATION_ROWS, dtype=np.int64)
        age = np.arange(_CALIBRATION_ROWS) / _CALIBRATION_ROWS
        return calibrate(self._raw(self._tokens(rows, age)), spread, base_rate)

    def rows(self, start: int, stop: int, total: int, calibration: tuple[float, float]) -> PlantedRows:
        """Rows start..stop-1 of a log of `total` rows; without dense numbers, none missing."""
        indices = np.arange(start, stop, dtype=np.int64)
        tokens = self._tokens(indices, indices / max(total, 1))
        logit = calibration[0] * self._raw(tokens) + calibration[1]
        text = [token_text(tokens[:, f], stream(self.seed, "text", f)) for f in range(tokens.shape[1])]
        return PlantedRows(
            dense=np.empty((len(indices), 0), dtype=np.int64), dense_missing=np.empty((len(indices), 0), dtype=bool),
            tokens=np.stack(text, axis=1), token_missing=np.zeros(tokens.shape, dtype=bool), logit=logit,
            label=draw(indices, self.seed, "label") < sigmoid(logit),
        )  # fmt: skip

    def _tokens(self, rows: np.ndarray, age: np.ndarray) -> np.ndarray:
        phase = (age * self.phases).astype(np.int64)
        columns = []
        for f, n in enumerate(self.cardinalities):
            place = zipf_exactly(draw(rows, self.seed, "place", f), n, self.zipf)
            columns.append((place + self._step(n) * phase) % n)
        return np.stack(columns, axis=1)

    def _step(self, n: int) -> int:
        return int(self.shift * n + 1e-9)  # 0.29 * 100 is a hair below 29

    def _raw(self, tokens: np.ndarray) -> np.ndarray:
        """The logit before scaling."""
        fields = range(tokens.shape[1])
        first = sum((normals(tokens[:, f], self.seed, "effect", f) for f in fields), start=np.zeros(len(tokens)))
        pairs = np.zeros(len(tokens))
        for r in range(_RANK):
            vectors = np.stack([normals(tokens[:, f], self.seed, f"vector {r}", f) for f in fields], axis=1)
            # over all pairs of different fields: (the square of the sum - the sum of squares) / 2
            pairs += (vectors.sum(axis=1) ** 2 - (vectors**2).sum(axis=1)) / 2
        raw: np.ndarray = _FIRST_ORDER * first + _PAIRS**2 * pairs
        return raw
