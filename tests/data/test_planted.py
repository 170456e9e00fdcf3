from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pocketrec.data.planted import PlantedLaw

LAW = PlantedLaw(
    cardinalities=(4000, 50, 3, 300), seed=3, zipf=1.1, clusters=8, cluster_strength=0.8, missing=1.0, drift=0.0
)
N = 20_000
CALIBRATION = LAW.calibrated(1.35, 0.25)


def test_any_rows_are_the_same_rows() -> None:
    whole, piece = LAW.rows(0, 1000, N, CALIBRATION), LAW.rows(300, 700, N, CALIBRATION)
    for name in ("dense", "dense_missing", "tokens", "token_missing", "logit", "label"):
        assert np.array_equal(getattr(piece, name), getattr(whole, name)[300:700])


def test_seeds_are_other_laws() -> None:
    other = replace(LAW, seed=4).rows(0, 1000, N, CALIBRATION)
    assert (other.tokens != LAW.rows(0, 1000, N, CALIBRATION).tokens).mean() > 0.9


def test_the_logit_has_its_spread_and_clicks_their_rate() -> None:
    rows = LAW.rows(0, N, N, CALIBRATION)
    assert float(rows.logit.std()) == pytest.approx(1.35, rel=0.05)
    assert float(rows.label.mean()) == pytest.approx(0.25, abs=0.015)
    probability = 1 / (1 + np.exp(-rows.logit))
    high = rows.logit > np.median(rows.logit)
    for half in (high, ~high):  # labels are drawn with exactly these chances
        assert float(rows.label[half].mean()) == pytest.approx(float(probability[half].mean()), abs=0.015)


def test_tokens_follow_zipf_and_stay_within_their_number() -> None:
    rows = LAW.rows(0, N, N, CALIBRATION)
    for f, size in enumerate(LAW.cardinalities):
        assert len(np.unique(rows.tokens[:, f])) <= size
    _, counts = np.unique(rows.tokens[:, 0], return_counts=True)
    assert (counts == 1).sum() > 300  # a long tail
    assert np.sort(counts)[::-1][:40].sum() > 0.2 * N  # and a heavy head


def test_fields_of_one_side_tell_about_each_other() -> None:
    rows = LAW.rows(0, N, N, CALIBRATION)

    def shared(f: int, g: int) -> float:
        """Mutual information of two fields in nats, frequent tokens only."""
        a = np.unique(rows.tokens[:, f], return_inverse=True)[1]
        b = np.unique(rows.tokens[:, g], return_inverse=True)[1]
        top = np.isin(a, np.argsort(-np.bincount(a))[:40])
        table = np.histogram2d(a[top], b[top], bins=(np.arange(a.max() + 2), np.arange(b.max() + 2)))[0] / top.sum()
        outer = table.sum(1, keepdims=True) * table.sum(0, keepdims=True)
        inside = table > 0
        return float((table[inside] * np.log(table[inside] / outer[inside])).sum())

    assert shared(1, 3) > 3 * shared(1, 2)  # fields 1 and 3 stand on one side, 2 on the other


def test_tokens_of_one_cluster_do_alike_as_far_as_one_likes() -> None:
    """The share of the variance of first-order effects that is between clusters, by what tokens have of their own."""

    def between(own: float) -> float:
        law = replace(LAW, own=own)
        tokens = np.arange(4000)
        effect = law._first_order(tokens, 0, np.zeros(4000))
        means = np.array([effect[tokens % 8 == cluster].mean() for cluster in range(8)])
        return float(means.var() / effect.var())

    assert between(0.0) == pytest.approx(1.0)
    assert between(0.25) > 0.85 > between(1.0) > between(2.0)
    assert replace(LAW, own=1.0) == LAW


def test_missing_values_come_in_their_shares_and_together() -> None:
    wide = replace(LAW, cardinalities=(30,) * 26)
    rows = wide.rows(0, N, N, CALIBRATION)
    share = rows.token_missing.mean(axis=0)
    assert share[21] == pytest.approx(0.76, abs=0.02)
    assert share[0] == 0.0
    assert np.array_equal(rows.token_missing[:, 18], rows.token_missing[:, 19])
    assert not replace(wide, missing=0.0).rows(0, 100, N, CALIBRATION).token_missing.any()
    assert (LAW.rows(0, N, N, CALIBRATION).dense[:, 1] < 0).any()  # as in the real second column


def test_the_law_turns_with_the_age_of_a_row() -> None:
    still, turning = LAW, replace(LAW, drift=1.0)
    assert np.array_equal(still.rows(0, 9, N, CALIBRATION).logit, still.rows(0, 9, 10 * N, CALIBRATION).logit)
    apart = [
        np.abs(turning.rows(at, at + 500, N, CALIBRATION).logit - still.rows(at, at + 500, N, CALIBRATION).logit)
        for at in (0, N - 500)
    ]
    assert np.median(apart[0]) < 0.1  # a few rows are in another cluster already
    assert np.median(apart[1]) > 0.5


@pytest.mark.parametrize("zipf", [0.5, 1.0, 2.0])
def test_every_exponent_draws_from_the_whole_table(zipf: float) -> None:
    law = replace(LAW, cardinalities=(40,), zipf=zipf, missing=0.0)
    assert len(np.unique(law.rows(0, N, N, CALIBRATION).tokens)) == 40
