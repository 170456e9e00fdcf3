from __future__ import annotations

import numpy as np
import pytest

from pocketrec.metrics.measures.auc import auc
from pocketrec.metrics.standard_error import auc_standard_error, hanley_mcneil


def clicks(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    labels = draw.random(count) < 0.25
    return labels, np.round(draw.normal(labels * 1.1, 1), 2)


def test_worked_by_hand() -> None:
    # positives .3 and .8 beat 1/2 and 2/2 of the negatives; negatives .1 and .4 are beaten by 2/2 and 1/2
    assert auc_standard_error([0, 0, 1, 1], [0.1, 0.4, 0.3, 0.8]) == pytest.approx(np.sqrt(0.125 / 2 + 0.125 / 2))
    # by pairs of DeLong's components, with a tie
    labels, scores = np.array([0, 1, 0, 1, 1, 0]), np.array([0.0, 0.0, 1.0, 2.0, 3.0, -1.0])
    won = np.array([[np.heaviside(p - n, 0.5) for n in scores[labels == 0]] for p in scores[labels == 1]])
    expected = won.mean(axis=1).var(ddof=1) / 3 + won.mean(axis=0).var(ddof=1) / 3
    assert auc_standard_error(labels, scores) == pytest.approx(np.sqrt(expected), rel=1e-14)


def test_it_is_how_far_aucs_of_fresh_rows_scatter() -> None:
    drawn = [clicks(600, seed) for seed in range(300)]
    scatter = np.std([auc(*one) for one in drawn], ddof=1)
    told = np.mean([auc_standard_error(*one) for one in drawn])
    assert told == pytest.approx(scatter, rel=0.12)  # 300 draws know a deviation to 4 %
    area = float(np.mean([auc(*one) for one in drawn]))
    assert hanley_mcneil(area, 150, 450) == pytest.approx(scatter, rel=0.2)


def test_a_weight_of_2_is_a_larger_error_than_two_rows_but_equal_weights_are_none() -> None:
    labels, scores = clicks(500, 0)
    plain = auc_standard_error(labels, scores)
    assert auc_standard_error(labels, scores, np.full(500, 1e-80)) == pytest.approx(plain, rel=1e-12)
    uneven = np.where(np.arange(500) % 2, 1.0, 9.0)
    assert auc_standard_error(labels, scores, uneven) > 1.2 * plain
    nothing = np.where(np.arange(500) < 300, 1.0, 0.0)
    assert auc_standard_error(labels, scores, nothing) == auc_standard_error(labels[:300], scores[:300])


def test_the_rows_that_told_epochs_apart_too_little() -> None:
    # the case this is for: 11,755 validation rows, a quarter of them clicks
    assert hanley_mcneil(0.78, 2_939, 8_816) == pytest.approx(0.0054, abs=5e-5)


@pytest.mark.parametrize(("labels", "weights"), [([], None), ([1, 1, 0], None), ([1, 1, 0, 0], [1, 0, 1, 1])])
def test_without_two_rows_of_both_classes_there_is_none(labels, weights) -> None:
    assert auc_standard_error(labels, np.arange(len(labels)), weights) is None


def test_hanley_mcneil_needs_both_classes() -> None:
    assert hanley_mcneil(0.5, 0, 5) is hanley_mcneil(0.5, 5, 0) is None
    assert hanley_mcneil(0.5, 1, 1) == pytest.approx(0.5)
    assert hanley_mcneil(1.0, 10, 10) == 0.0
