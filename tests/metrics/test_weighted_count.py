from __future__ import annotations

import numpy as np

from pocketrec.metrics.weighted_count import WeightedCount


def test_rows_and_weights_add_up() -> None:
    chosen = np.array([True, False, True])
    count, other = WeightedCount(), WeightedCount()
    count.update(chosen, None)
    assert count.value == 2
    other.update(chosen, np.array([0.25, 10.0, 0.5]))
    assert other.value == 0.75
    count.merge(other)
    count.merge(other)
    assert count.value == 3.5
    assert other.value == 0.75
    other.merge(WeightedCount())
    assert other.value == 0.75
