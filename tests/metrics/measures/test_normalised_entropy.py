from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import log_loss

from pocketrec.metrics.measures.normalised_entropy import normalised_entropy


def test_predicting_the_mean_label_gives_1() -> None:
    labels = [1] + [0] * 9
    assert normalised_entropy(labels, [math.log(1 / 9)] * 10) == pytest.approx(1.0, rel=1e-14)
    assert normalised_entropy([1, 0], [0.0, 0.0], [1.0, 9.0]) > 1  # a half is not the weighted mean


def test_equals_two_log_losses_of_scikit_learn() -> None:
    generator = np.random.default_rng(1)
    logits, weights = generator.normal(-2, 1, size=2000), generator.exponential(size=2000)
    labels = generator.random(2000) < 1 / (1 + np.exp(-logits))
    chance = 1 / (1 + np.exp(-logits))
    for weight in (None, weights):
        mean = np.average(labels, weights=weight)
        expected = log_loss(labels, chance, sample_weight=weight) / log_loss(
            labels, np.full(2000, mean), sample_weight=weight
        )
        assert normalised_entropy(labels, logits, weight) == pytest.approx(expected, rel=1e-11)
        assert expected < 1


def test_needs_both_classes() -> None:
    assert normalised_entropy([1, 1], [0.0, 0.0]) is None
    assert normalised_entropy([0], [0.0]) is None
    assert normalised_entropy([], []) is None


def test_very_uneven_classes() -> None:
    assert normalised_entropy([1, 0], [0.0, 0.0], [1e-100, 1.0]) > 1e90
