from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pocketrec.data.independent import IndependentLaw
from pocketrec.metrics.evaluate import evaluate

LAW = IndependentLaw(cardinalities=(3000, 500, 40, 10), seed=1, zipf=1.1, shift=0.0, phases=6)
N = 30_000
CALIBRATION = LAW.calibrated(2.0, 0.28)


def test_any_rows_are_the_same_rows() -> None:
    moving = replace(LAW, shift=0.05)
    whole, piece = moving.rows(0, 1000, N, CALIBRATION), moving.rows(300, 700, N, CALIBRATION)
    for name in ("dense", "dense_missing", "tokens", "token_missing", "logit", "label"):
        assert np.array_equal(getattr(piece, name), getattr(whole, name)[300:700])


def test_seeds_are_other_laws() -> None:
    other = replace(LAW, seed=2).rows(0, 1000, N, CALIBRATION)
    assert (other.tokens != LAW.rows(0, 1000, N, CALIBRATION).tokens).mean() > 0.9


def test_there_are_tokens_only_and_none_is_missing() -> None:
    rows = LAW.rows(0, 100, N, CALIBRATION)
    assert rows.dense.shape == rows.dense_missing.shape == (100, 0)
    assert rows.tokens.shape == (100, 4)
    assert rows.tokens.dtype == np.uint32
    assert not rows.token_missing.any()


def test_the_logit_has_its_spread_and_clicks_their_rate() -> None:
    rows = LAW.rows(0, N, N, CALIBRATION)
    assert float(rows.logit.std()) == pytest.approx(2.0, rel=0.04)
    assert float(rows.label.mean()) == pytest.approx(0.28, abs=0.02)
    probability = 1 / (1 + np.exp(-rows.logit))
    assert float(rows.label.mean()) == pytest.approx(float(probability.mean()), abs=0.012)


def test_frequencies_follow_zipf() -> None:
    _, counts = np.unique(LAW.rows(0, N, N, CALIBRATION).tokens[:, 3], return_counts=True)
    weights = np.arange(1, 11) ** -1.1
    assert np.abs(np.sort(counts)[::-1] / N - weights / weights.sum()).max() < 0.015


def test_fields_tell_nothing_of_each_other() -> None:
    tokens = LAW.rows(0, N, N, CALIBRATION).tokens
    a, b = (np.unique(tokens[:, f], return_inverse=True)[1] for f in (2, 3))
    table = np.histogram2d(a, b, bins=(np.arange(a.max() + 2), np.arange(b.max() + 2)))[0]
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / N
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    assert float(((table - expected) ** 2 / expected).sum()) < freedom + 5 * np.sqrt(2 * freedom)


def test_pairs_of_tokens_act_together() -> None:
    """The raw logit is the sum of first-order effects and of products over all pairs of fields, taken one by one."""
    from pocketrec.data.draws import normals

    tokens = LAW._tokens(np.arange(20), np.zeros(20))
    for row, raw in zip(tokens, LAW._raw(tokens), strict=True):
        effects = [float(normals(row[f : f + 1], 1, "effect", f)[0]) for f in range(4)]
        vectors = [[float(normals(row[f : f + 1], 1, f"vector {r}", f)[0]) for r in range(4)] for f in range(4)]
        pairs = sum(sum(x * y for x, y in zip(vectors[f], vectors[g], strict=True)) for f in range(4) for g in range(f))
        assert raw == pytest.approx(0.55 * sum(effects) + 0.35**2 * pairs)


def test_popularity_moves_from_phase_to_phase() -> None:
    """2 % of a field in each of six phases: the favourite of 500 tokens falls behind, another takes its place."""
    moving = replace(LAW, shift=0.02)
    tokens = moving._tokens(np.zeros(6, dtype=np.int64), (np.arange(6) + 0.5) / 6)
    assert (np.diff(tokens[:, 0]) % 3000 == 60).all()
    assert (np.diff(tokens[:, 1]) % 500 == 10).all()
    assert (np.diff(tokens[:, 2:], axis=0) == 0).all(), "2 % of 40 tokens are none"
    rows = [moving.rows(at, at + 5000, N, CALIBRATION).tokens[:, 1] for at in (0, N - 5000)]
    favourites = [np.unique(part, return_counts=True) for part in rows]
    best = [values[counts.argmax()] for values, counts in favourites]
    assert best[0] != best[1]
    assert np.array_equal(LAW.rows(0, 50, N, CALIBRATION).tokens, moving.rows(0, 50, N, CALIBRATION).tokens)


def test_a_share_just_below_a_whole_token_moves_it() -> None:
    assert replace(LAW, shift=0.29)._step(100) == 29


def test_the_oracle_of_eight_fields_is_known() -> None:
    """The task's own numbers: 28 % clicks, best AUC .868."""
    law = replace(LAW, cardinalities=(300_000, 200_000, 100_000, 30_000, 5_000, 500, 50, 10))
    rows = law.rows(0, 40_000, 40_000, law.calibrated(2.02, 0.28))
    assert evaluate(rows.label.astype(np.float32), rows.logit).auc == pytest.approx(0.868, abs=0.012)
