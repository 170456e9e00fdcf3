from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from pocketrec.metrics.measures.auc import StreamingAuc, _bucket, auc
from pocketrec.metrics.rows import Rows
from pocketrec.spec.errors import OptionError

SCORES = st.floats(width=32, allow_nan=False, allow_infinity=False)


def by_pairs(labels, scores, weights) -> float:
    """The definition: every pair of a positive and a negative row, ties counted half."""
    won = total = 0.0
    for label, score, weight in zip(labels, scores, weights, strict=True):
        for other, against, against_weight in zip(labels, scores, weights, strict=True):
            if label and not other:
                won += weight * against_weight * (1.0 if score > against else 0.5 if score == against else 0.0)
                total += weight * against_weight
    return won / total


def streaming(labels, scores, weights=None, *, exact_rows: int, portions: int = 1) -> StreamingAuc:
    measure = StreamingAuc(exact_rows)
    for part in np.array_split(np.arange(len(labels)), portions):
        part_weights = None if weights is None else np.asarray(weights)[part]
        measure.update(Rows.checked(np.asarray(labels)[part], np.asarray(scores)[part], part_weights))
    return measure


def test_worked_by_hand() -> None:
    # Positives 3 and 1 against negatives 2, 1 and 0: 3 wins 3; 1 ties one and wins one.
    assert auc([1, 0, 1, 0, 0], [3.0, 2.0, 1.0, 1.0, 0.0]) == (3 + 1.5) / 6
    assert auc([1, 1, 0], [2.0, 1.0, 0.0]) == 1.0
    assert auc([0, 0, 1], [2.0, 1.0, 0.0]) == 0.0


@pytest.mark.parametrize("labels", [[], [0, 0], [1, 1, 1]])
def test_one_class_has_no_area(labels: list[int]) -> None:
    assert auc(labels, [0.5] * len(labels)) is None
    assert streaming(labels, [0.5] * len(labels), exact_rows=0).area() == (None, 0.0)


def test_a_class_of_weight_0_is_no_class() -> None:
    assert auc([0, 1], [0.0, 1.0], [1.0, 0.0]) is None


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([-2.0, -0.0, 0.0, 1e-30, 0.5, 3.0])), min_size=2, max_size=12))
def test_equals_the_definition_over_pairs(rows) -> None:
    labels, scores = [label for label, _ in rows], [score for _, score in rows]
    if len(set(labels)) == 2:
        assert auc(labels, scores) == pytest.approx(by_pairs(labels, scores, np.ones(len(rows))), abs=1e-15)


@pytest.mark.parametrize("digits", [1, 6])
def test_equals_scikit_learn(digits: int) -> None:
    generator = np.random.default_rng(digits)
    scores = generator.normal(size=5000).round(digits).astype(np.float32)
    labels = generator.random(5000) < 1 / (1 + np.exp(2 - scores))
    weights = generator.exponential(size=5000)
    assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    expected = roc_auc_score(labels, scores, sample_weight=weights)
    assert auc(labels, scores, weights) == pytest.approx(expected, abs=1e-12)
    assert streaming(labels, scores, weights, exact_rows=0, portions=7).value() == pytest.approx(expected, abs=1e-4)


@given(
    st.lists(st.tuples(st.booleans(), SCORES, st.sampled_from([0.1, 1 / 3, 2.5])), min_size=1, max_size=30), st.data()
)
def test_the_order_of_rows_changes_no_bit(rows, data) -> None:
    other = data.draw(st.permutations(rows))
    for columns in (2, 3):
        first, second = (auc(*[list(c) for c in zip(*r, strict=True)][:columns]) for r in (rows, other))
        assert first == second


@settings(max_examples=40)  # each fills buckets of 17 MB
@given(st.lists(st.tuples(st.booleans(), SCORES), min_size=1, max_size=40), st.integers(1, 5))
def test_streaming_is_exact_for_few_rows_and_keeps_its_bound_for_many(rows, portions) -> None:
    labels, scores = [label for label, _ in rows], [score for _, score in rows]
    exact = auc(labels, scores)
    kept = streaming(labels, scores, exact_rows=len(rows), portions=portions).area()
    assert kept == (exact, 0.0)
    bucketed = streaming(labels, scores, exact_rows=len(rows) - 1, portions=portions).area()
    if exact is None:
        assert bucketed == (None, 0.0)
    else:
        assert abs(bucketed.auc - exact) <= bucketed.error + 1e-15


def test_the_bound_is_small_for_scores_as_models_give_them() -> None:
    generator = np.random.default_rng(3)
    scores = generator.normal(-1.2, 1.1, size=200_000).astype(np.float32)
    labels = generator.random(200_000) < 1 / (1 + np.exp(-scores))
    area = streaming(labels, scores, exact_rows=1000, portions=3).area()
    assert 0 < area.error < 1e-4
    assert abs(area.auc - auc(labels, scores)) < area.error


def test_the_bound_is_reached_when_a_bucket_hides_the_order() -> None:
    # Both scores share a bucket: the true area is 1, we say a half, and the bound says "a half off at most".
    area = streaming([0, 1], [1.0, np.nextafter(np.float32(1), np.float32(2))], exact_rows=0).area()
    assert area == (0.5, 0.5)


@given(st.lists(SCORES, min_size=2, max_size=50))
def test_buckets_follow_the_order_of_the_scores(scores) -> None:
    rising = np.sort(np.array(scores))
    buckets = _bucket(rising)
    assert (np.diff(buckets) >= 0).all()
    assert buckets.min() >= 0
    assert buckets.max() < 2**20
    assert _bucket(np.array([-0.0])) == _bucket(np.array([0.0]))


@given(st.floats(2**-120, 1e38), st.booleans())
def test_a_bucket_is_narrow(score, negative) -> None:
    sign = -1 if negative else 1
    near, far = _bucket(np.array([sign * score, sign * score * (1 + 1 / 1000)]))
    assert near != far


def test_measures_of_different_form_do_not_merge() -> None:
    with pytest.raises(OptionError, match="exact_rows 5 and 6"):
        StreamingAuc(5).merge(StreamingAuc(6))
    with pytest.raises(OptionError, match="0 or more, got -1"):
        StreamingAuc(-1)


def test_merging_two_small_ones_into_a_large_one_gives_the_large_form() -> None:
    labels, scores = [0, 1] * 10, list(np.linspace(1, 1.004, 20))
    left = streaming(labels[:10], scores[:10], exact_rows=15)
    right = streaming(labels[10:], scores[10:], exact_rows=15)
    left.merge(right)
    assert left.area() == streaming(labels, scores, exact_rows=15).area()
    assert left.area().error > 0
    assert right.area().error == 0
    right.merge(left)  # kept rows meet counted ones
    assert right.area() == streaming(labels + labels[10:], scores + scores[10:], exact_rows=15).area()
