"""The law of what ids are worth, against draws of its own model."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pocketrec.compress.worth import INTERACTION, TableWorth
from pocketrec.spec.stats import TableStats


def worth(counts: list[int], k: float = 30.0) -> TableWorth:
    return TableWorth(stats=TableStats.of_counts("t", counts), prior_rows=k)


def test_worth_is_the_formula() -> None:
    counts, k = [50, 20, 1], 30.0
    nats, other = INTERACTION
    each = [n / 71 * (n / (n + k) / (2 * k) + nats * n / (n + other)) for n in counts]
    found = worth(counts, k)
    assert found.nats == pytest.approx(sum(each), rel=1e-12)
    assert found.told(1) == pytest.approx(each[0] / sum(each), rel=1e-12)
    assert (found.told(0), found.told(3), found.told(99)) == (0.0, 1.0, 1.0)


def test_second_order_law_meets_the_model_that_it_is_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log-loss of the best linear prediction on fresh rows of drawn ids, against the mean of all."""
    monkeypatch.setattr("pocketrec.compress.worth.INTERACTION", (0.0, 20.0))
    rng, p, k = np.random.default_rng(0), 0.3, 60.0
    v = p * (1 - p) / k
    counts = np.repeat([5, 40, 300], [3000, 600, 100])
    truth = np.clip(p + math.sqrt(v) * rng.standard_normal(len(counts)), 0.01, 0.99)
    clicks = rng.binomial(counts, truth)
    told = p + counts / (counts + k) * (clicks / counts - p)
    loss = -(truth * np.log(told) + (1 - truth) * np.log(1 - told))
    flat = -(truth * math.log(p) + (1 - truth) * math.log(1 - p))
    gain = ((flat - loss) * counts).sum() / counts.sum()
    assert worth(counts.tolist(), k).nats == pytest.approx(gain, rel=0.1)


def test_shared_rows_lie_between_none_and_rows_of_their_own() -> None:
    found = worth(np.maximum(1, 3000 // np.arange(1, 2001)).tolist())
    kept = [found.shared(rows) for rows in (0, 10, 100, 1000, 20_000, 200_000)]
    assert kept[0] == 0.0
    assert kept == sorted(kept)
    assert kept[-1] == pytest.approx(1.0, abs=1e-9)
    assert 0.05 < kept[2] < 0.9
    # ids of their own before the shared ones add what they are worth; more of them are never worse
    assert found.told(50) < found.shared(100, behind=50) < 1.0
    assert found.shared(0, behind=50) == found.told(50)


def test_shared_rows_are_expected_over_hashes() -> None:
    """Against the mean over many hashes, by the formula per row."""
    counts, k, rows = np.maximum(1, 500 // np.arange(1, 301)), 10.0, 40
    nats, other = INTERACTION
    rng, gains = np.random.default_rng(7), []
    for _ in range(200):
        place = rng.integers(0, rows, len(counts))
        n, q = np.bincount(place, counts, rows), np.bincount(place, counts**2.0, rows)
        n, q = n[n > 0], q[n > 0]
        gains.append(((q * q / n) * (1 / (q + k * n) / (2 * k) + nats / (q + other * n))).sum() / counts.sum())
    found = worth(counts.tolist(), k)
    assert found.shared(rows) * found.nats == pytest.approx(np.mean(gains), rel=0.15)


def test_large_tables_are_read_from_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = np.maximum(1, 200_000 // np.arange(1, 30_001)).tolist()
    whole = worth(counts).shared(3000, behind=100)
    monkeypatch.setattr("pocketrec.compress.worth._MOST_IDS", 5000)
    assert worth(counts).shared(3000, behind=100) == pytest.approx(whole, rel=0.02)


def test_tables_without_effects_of_their_own_are_worth_what_their_counts_say() -> None:
    lonely = TableWorth(stats=TableStats.of_counts("t", [10] * 5))
    assert lonely.nats == pytest.approx(INTERACTION[0] * 10 / 30)
    empty = TableWorth(stats=TableStats(table="t", histogram=()))
    assert (empty.nats, empty.told(0), empty.shared(3)) == (0.0, 1.0, 1.0)


def test_a_measured_worth_keeps_how_it_is_spread() -> None:
    before = worth([50, 20, 1])
    after = before.scaled_to(0.5)
    assert after.nats == pytest.approx(0.5)
    assert after.told(2) == before.told(2)
    assert after.shared(1) == before.shared(1)
    assert before.scaled_to(0.0).nats == 0.0
