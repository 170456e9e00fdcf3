from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.spec.errors import OptionError
from pocketrec.spec.stats import TableStats

COUNTS = st.lists(st.integers(0, 50), max_size=80)


@given(COUNTS, st.integers(0, 60), st.integers(0, 90))
def test_a_histogram_answers_as_the_counts_do(counts: list[int], least: int, top: int) -> None:
    stats = TableStats.of_counts("item", counts)
    seen = sorted((c for c in counts if c), reverse=True)
    assert stats.ids == len(seen)
    assert stats.occurrences == sum(seen)
    assert stats.ids_at_least(least) == sum(c >= least for c in seen)
    assert stats.top_fraction(top) == (sum(seen[:top]) / sum(seen) if seen else 0.0)
    assert stats.singleton_fraction == (seen.count(1) / len(seen) if seen else 0.0)
    assert stats.assumed is None


@given(COUNTS, st.randoms(use_true_random=False))
def test_the_order_of_counts_does_not_matter(counts: list[int], random) -> None:
    stats = TableStats.of_counts("item", counts)
    random.shuffle(counts)
    assert TableStats.of_counts("item", counts) == stats


def test_missing_is_a_share_of_the_occurrences() -> None:
    assert TableStats.of_counts("item", [6, 2], missing=2).missing_fraction == 0.25
    assert TableStats.of_counts("item", []).missing_fraction == 0.0


@pytest.mark.parametrize("histogram", [((1, 1), (2, 1)), ((2, 1), (2, 1)), ((0, 3),), ((5, 0),), ((5, -1),)])
def test_a_histogram_must_fall(histogram: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(OptionError, match="histogram of table 'item'"):
        TableStats(table="item", histogram=histogram)


def exact_zipf(ids: int, exponent: float, occurrences: int) -> list[int]:
    """One count per id, by the definition."""
    weights = [rank**-exponent for rank in range(1, ids + 1)]
    scale = occurrences / math.fsum(weights)
    return [max(1, round(weight * scale)) for weight in weights]


@given(st.integers(1, 1000), st.floats(0.2, 2.5), st.integers(1, 100))
def test_zipf_is_exact_up_to_a_thousand_ids(ids: int, exponent: float, each: int) -> None:
    stats = TableStats.zipf("item", ids, exponent=exponent, occurrences=each * ids)
    assert stats.histogram == TableStats.of_counts("item", exact_zipf(ids, exponent, each * ids)).histogram
    assert stats.assumed == f"Zipf {exponent:g} assumed"


@pytest.mark.parametrize("exponent", [0.8, 1.05, 1.5])
def test_zipf_is_close_for_more_ids(exponent: float) -> None:
    ids = 30_000
    exact = TableStats.of_counts("item", exact_zipf(ids, exponent, 20 * ids))
    stats = TableStats.zipf("item", ids, exponent=exponent)
    assert stats.ids == ids
    assert stats.occurrences == pytest.approx(exact.occurrences, rel=0.01)
    for top in (1, 10, 500, 1000, 3000, 10_000, ids):
        assert stats.top_fraction(top) == pytest.approx(exact.top_fraction(top), rel=0.01)
    for count in (2, 5, 20, 100, 1000):
        assert stats.ids_at_least(count) == pytest.approx(exact.ids_at_least(count), rel=0.05)


def test_zipf_of_hundreds_of_millions_of_ids_takes_no_time() -> None:
    fastest = math.inf
    for _ in range(3):
        start = time.process_time()
        stats = TableStats.zipf("item", 300_000_000)
        fastest = min(fastest, time.process_time() - start)
    assert fastest < 0.05
    assert stats.ids == 300_000_000
    assert stats.occurrences == pytest.approx(20 * 300_000_000, rel=0.02)
    assert len(stats.histogram) < 3000


def test_zipf_of_no_ids_is_empty_and_of_fewer_is_refused() -> None:
    assert TableStats.zipf("item", 0).ids == 0
    with pytest.raises(OptionError, match=r"0 or more ids.*got -1"):
        TableStats.zipf("item", -1)
    with pytest.raises(OptionError, match=r"exponent above 0, got 5 and 0"):
        TableStats.zipf("item", 5, exponent=0)


@pytest.mark.parametrize("exponent", [0.7, 1.0, 1.3])
def test_the_slope_of_zipf_is_found_again(exponent: float) -> None:
    # Occurrences enough that no count is held up at 1.
    stats = TableStats.zipf("item", 2000, exponent=exponent, occurrences=10**8)
    assert stats.zipf_slope() == pytest.approx(exponent, abs=0.01)


def test_the_slope_of_too_few_steps_is_not_a_number() -> None:
    assert math.isnan(TableStats.of_counts("item", [5, 5, 2]).zipf_slope())
    assert math.isnan(TableStats.of_counts("item", []).zipf_slope())
