"""The law behind synthetic logs: which tokens meet, and how they make a click more or less likely.

Every row has two hidden clusters, one for the even fields and one for the odd ones ("who" and "what"); most of its
tokens come from them, so tokens of different fields tell about each other. Within a field, frequencies follow Zipf's
law. The log-odds of a click are a function of the visible values alone, so their AUC is the best that any model can
reach (the oracle)::

    logit = b + s * [ sum_f 0.7 (cluster_f(t_f) + own alone_f(t_f))             first order: by cluster, and by token
                    + sum_(f, g) <v_f(t_f), v_g(t_g)> / 2                       pairs of neighbouring fields
                    + sum_i beta_i x_i ]                                        dense numbers

Rare tokens so carry what their cluster carries (a method may learn it from their company), frequent ones also
something of their own (a method that makes frequent tokens share a row loses it). s and b are found on rows of their
own, so that the logit has the wanted spread and clicks their wanted rate.

Everything is a function of (seed, row): any row can be made without the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pocketrec.data.draws import calibrate, draw, sigmoid, stream, token_text, zipf

__all__ = ["DENSE_FIELDS", "PlantedLaw", "PlantedRows"]

DENSE_FIELDS = 13

# Shares of missing values in the Criteo Kaggle log, by position. Fields of equal share are missing together there.
_DENSE_MISSING = (0.45, 0.0, 0.21, 0.215, 0.026, 0.22, 0.042, 0.001, 0.042, 0.45, 0.042, 0.77, 0.215)
_TOKEN_MISSING = {
    2: 0.034, 3: 0.034, 5: 0.12, 11: 0.034, 15: 0.034, 18: 0.44, 19: 0.44, 20: 0.034, 21: 0.76, 23: 0.034, 24: 0.44,
    25: 0.44,
}  # fmt: skip
# Means and standard deviations of log(1 + x) there, rounded.
_DENSE_MEAN = (0.9, 2.1, 2.1, 1.7, 7.3, 3.4, 1.6, 2.0, 3.5, 0.4, 0.9, 0.3, 1.7)
_DENSE_STD = (1.0, 2.1, 1.2, 0.9, 2.9, 1.8, 1.4, 1.2, 1.6, 0.4, 0.8, 0.6, 1.0)

_FIRST_ORDER, _PAIRS, _DENSE = 0.7, 0.5, 0.25
_RANK = 2  # numbers per token in the planted pairs
_CALIBRATION_ROWS = 16_384
_CALIBRATION_START = 1 << 50  # rows that no log has


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlantedRows:
    """Some rows of a synthetic log.

    Attributes:
        dense: int64 [n, 13].
        dense_missing: bool [n, 13].
        tokens: uint32 [n, F]: the token's eight hexadecimal digits as a number.
        token_missing: bool [n, F].
        logit: float64 [n], the true log-odds of a click.
        label: bool [n].
    """

    dense: np.ndarray
    dense_missing: np.ndarray
    tokens: np.ndarray
    token_missing: np.ndarray
    logit: np.ndarray
    label: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedLaw:
    """A law to draw rows from.

    Attributes:
        cardinalities: tokens per field.
        seed: another seed, another law and other rows.
        zipf: exponent of the frequencies, above 0.
        clusters: hidden clusters on each side, 1 or more.
        cluster_strength: chance that a token comes from its row's cluster, 0..1.
        missing: factor on the shares of missing values of the Criteo Kaggle log, 0..1.
        drift: how far effects and popular clusters turn from the first to the last row: 0 not at all, 1 to unrelated.
        own: factor on what tokens have of their own in their effects, 0 or more. At 0 all tokens of a cluster within a
            field do the same to a click; above 1 clusters matter less.
    """

    cardinalities: tuple[int, ...]
    seed: int
    zipf: float
    clusters: int
    cluster_strength: float
    missing: float
    drift: float
    own: float = 1.0

    def calibrated(self, spread: float, base_rate: float) -> tuple[float, float]:
        """Scale s and intercept b that give the logit its standard deviation and clicks their rate."""
        raw = self._values(self._indices(0), age=0.5)[-1]
        return calibrate(raw, spread, base_rate)

    def rows(self, start: int, stop: int, total: int, calibration: tuple[float, float]) -> PlantedRows:
        """Rows start..stop-1 of a log of `total` rows."""
        indices = np.arange(start, stop, dtype=np.int64)
        tokens, gone, dense, dense_gone, raw = self._values(indices, age=indices / max(total, 1))
        logit = calibration[0] * raw + calibration[1]
        label = self._draw(indices, "label") < sigmoid(logit)
        text = [token_text(tokens[:, f], stream(self.seed, "text", f)) for f in range(tokens.shape[1])]
        return PlantedRows(
            dense=dense, dense_missing=dense_gone, tokens=np.stack(text, axis=1), token_missing=gone, logit=logit,
            label=label,
        )  # fmt: skip

    def _indices(self, start: int) -> np.ndarray:
        first = _CALIBRATION_START + start
        return np.arange(first, first + _CALIBRATION_ROWS, dtype=np.int64)

    def _values(
        self, rows: np.ndarray, age: np.ndarray | float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Tokens, which are missing, dense numbers, which are missing, and the logit before scaling."""
        turn = self.drift * np.asarray(age) * np.pi / 2
        sides = [self._clusters_of(rows, side, turn) for side in range(2)]
        fields = range(len(self.cardinalities))
        tokens = np.stack([self._tokens(rows, f, sides[f % 2]) for f in fields], axis=1)
        gone = np.stack([self._gone(rows, _TOKEN_MISSING.get(f, 0.0), "token") for f in fields], axis=1)
        seen = np.where(gone, -1, tokens)  # the missing token is a token with effects of its own
        raw = sum((self._first_order(seen[:, f], f, turn) for f in fields), start=np.zeros(len(rows)))
        for f in fields[1:]:
            left, right = (self._vectors(seen[:, g], g, turn) for g in (f - 1, f))
            raw += _PAIRS * (left * right).sum(axis=1)
        dense, dense_gone, effect = self._dense(rows, sides[0])
        return tokens, gone, dense, dense_gone, raw + effect

    def _clusters_of(self, rows: np.ndarray, side: int, turn: np.ndarray) -> np.ndarray:
        """Hidden cluster of each row; lower ones are more popular, and popularity moves on as the law turns."""
        squared = self._draw(rows, "cluster", side) ** 1.5 * self.clusters
        return (squared + turn * self.clusters / np.pi).astype(np.int64) % self.clusters

    def _parts(self, f: int) -> int:
        """Clusters within field f: fewer where there are few tokens."""
        return min(self.clusters, max(1, self.cardinalities[f] // 4))

    def _tokens(self, rows: np.ndarray, f: int, hidden: np.ndarray) -> np.ndarray:
        n, parts = self.cardinalities[f], self._parts(f)
        stranger = (self._draw(rows, "stranger", f) * parts).astype(np.int64)
        own = self._draw(rows, "own", f) < self.cluster_strength
        cluster = np.where(own, hidden % parts, stranger)
        place = zipf(self._draw(rows, "place", f), -(-n // parts), self.zipf)
        token = place * parts + cluster
        return np.where(token < n, token, cluster % n)

    def _gone(self, rows: np.ndarray, share: float, kind: str) -> np.ndarray:
        # One draw per share: fields of equal share are missing together.
        return self._draw(rows, f"missing {kind}", int(share * 10_000)) < share * self.missing

    def _first_order(self, tokens: np.ndarray, f: int, turn: np.ndarray) -> np.ndarray:
        clusters = np.where(tokens < 0, -1, tokens % self._parts(f))
        own = self.own * self._effect(tokens, "token effect", f, turn)
        scaled: np.ndarray = _FIRST_ORDER * (self._effect(clusters, "cluster effect", f, turn) + own)
        return scaled

    def _vectors(self, tokens: np.ndarray, f: int, turn: np.ndarray) -> np.ndarray:
        clusters = np.where(tokens < 0, -1, tokens % self._parts(f))
        columns = [
            0.8 * self._effect(clusters, f"cluster vector {r}", f, turn)
            + 0.6 * self.own * self._effect(tokens, f"token vector {r}", f, turn)
            for r in range(_RANK)
        ]
        return np.stack(columns, axis=1)

    def _effect(self, ids: np.ndarray, name: str, f: int, turn: np.ndarray) -> np.ndarray:
        """Mean 0, variance 1 per id; turns into an unrelated effect as the law drifts."""
        now = self._centred(ids, name, f)
        return now if not self.drift else np.cos(turn) * now + np.sin(turn) * self._centred(ids, f"{name} later", f)

    def _centred(self, ids: np.ndarray, name: str, f: int) -> np.ndarray:
        return np.multiply(np.sqrt(12.0), self._draw(ids + 1, name, f) - 0.5)

    def _dense(self, rows: np.ndarray, hidden: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        values = np.empty((len(rows), DENSE_FIELDS), dtype=np.int64)
        gone = np.empty((len(rows), DENSE_FIELDS), dtype=bool)
        effect = np.zeros(len(rows))
        for i in range(DENSE_FIELDS):
            # Irwin-Hall: three uniforms make a bell of variance 1/4.
            bell = 2 * sum(self._draw(rows, f"bell {k}", i) - 0.5 for k in range(3))
            z = 0.8 * bell + 0.6 * self._centred(hidden, "dense of cluster", i)
            raw = np.expm1(np.minimum(_DENSE_MEAN[i] + _DENSE_STD[i] * z, 13.0))
            values[:, i] = np.floor(raw).astype(np.int64)
            gone[:, i] = self._gone(rows, _DENSE_MISSING[i], "dense")
            seen = (np.log1p(np.maximum(values[:, i], 0)) - _DENSE_MEAN[i]) / _DENSE_STD[i]
            slope, absence = self._centred(np.arange(2), "dense effect", i)
            effect += _DENSE * np.where(gone[:, i], absence, slope * seen)
        return values, gone, effect

    def _draw(self, counters: np.ndarray, name: str, f: int = 0) -> np.ndarray:
        return draw(counters, self.seed, name, f)
