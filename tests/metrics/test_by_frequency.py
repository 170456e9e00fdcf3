from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pocketrec.metrics import GROUPS, GroupMetrics, StreamingByFrequency, by_frequency, frequency_groups
from pocketrec.spec.errors import DataError, IdError, OptionError

# id 0 is unknown, 1.. are seen 500, 100, 99 and 1 times; the second field has fewer ids.
COUNTS = [np.array([0, 500, 100, 99, 1]), np.array([0, 1000, 100])]


def test_the_rarest_id_decides() -> None:
    ids = np.array([[1, 1], [2, 2], [1, 2], [3, 1], [4, 2], [0, 1], [1, 0], [5, 1], [1, 2**62]])
    named = [GROUPS[k] for k in frequency_groups(ids, COUNTS)]
    assert named == ["head", "head", "head", "torso", "torso", "unseen", "unseen", "unseen", "unseen"]


def test_head_count_moves_the_border() -> None:
    ids = np.array([[1, 1], [2, 1], [4, 1], [0, 1]])
    assert [GROUPS[k] for k in frequency_groups(ids, COUNTS, head_count=1)] == ["head", "head", "head", "unseen"]
    assert [GROUPS[k] for k in frequency_groups(ids, COUNTS, head_count=101)] == ["head", "torso", "torso", "unseen"]


def test_fields_without_counts_are_left_out() -> None:
    ids = np.array([[1, 0], [0, 1]])
    assert [GROUPS[k] for k in frequency_groups(ids, [COUNTS[0], None])] == ["head", "unseen"]
    with pytest.raises(OptionError, match="No field has counts"):
        frequency_groups(ids, [None, None])


def test_wrong_ids_are_refused() -> None:
    with pytest.raises(IdError, match="got -3 in row 1"):
        frequency_groups(np.array([[1, 1], [-3, 1]]), COUNTS)
    with pytest.raises(OptionError, match=r"\[rows, 2\].*int64 of shape \(1, 3\)"):
        frequency_groups(np.array([[1, 1, 1]]), COUNTS)
    with pytest.raises(OptionError, match="float64"):
        frequency_groups(np.array([[1.0, 1.0]]), COUNTS)
    with pytest.raises(OptionError, match="got 0"):
        frequency_groups(np.array([[1, 1]]), COUNTS, head_count=0)
    with pytest.raises(DataError, match="1 labels but ids for 2 rows"):
        by_frequency([1], [0.0], np.array([[1, 1], [1, 1]]), COUNTS)


def rows(size: int = 600) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(9)
    ids = np.stack([generator.integers(1, 5, size), generator.integers(0, 3, size)], axis=1)
    logits = (1 + generator.normal(size=size) / 100).astype(np.float32)  # close enough to share buckets
    return generator.random(size) < 1 / (1 + np.exp(-logits)), logits, ids, generator.exponential(size=size)


def test_equals_scikit_learn_within_each_group() -> None:
    labels, logits, ids, weights = rows()
    groups = frequency_groups(ids, COUNTS)
    for weight in (None, weights):
        found = by_frequency(labels, logits, ids, COUNTS, weights=weight)
        assert tuple(found) == GROUPS
        for number, group in enumerate(GROUPS):
            here = groups == number
            expected = roc_auc_score(labels[here], logits[here], sample_weight=None if weight is None else weight[here])
            assert found[group].auc == pytest.approx(expected, abs=1e-12)
            assert (found[group].rows, found[group].positives) == (here.sum(), labels[here].sum())
    assert sum(group.rows for group in found.values()) == len(labels)


@pytest.mark.parametrize("exact_rows", [50, 10_000])
def test_neither_order_nor_portions_matter(exact_rows: int) -> None:
    labels, logits, ids, _ = rows()
    whole = StreamingByFrequency(COUNTS, exact_rows=exact_rows)
    whole.update(labels, logits, ids)
    parts = [StreamingByFrequency(COUNTS, exact_rows=exact_rows) for _ in range(2)]
    for k, part in enumerate(np.array_split(np.random.default_rng(0).permutation(len(labels)), 7)):
        parts[k % 2].update(labels[part], logits[part], ids[part])
    parts[0].merge(parts[1])
    assert parts[0].result() == whole.result()
    assert (whole.result()["torso"].auc_error > 0) == (exact_rows == 50)


def test_an_empty_group_and_a_group_of_one_class() -> None:
    found = by_frequency([1, 0, 1], [0.0, 1.0, 2.0], np.array([[1, 1], [1, 1], [4, 1]]), COUNTS)
    assert found == {
        "head": GroupMetrics(rows=2, positives=1, auc=0.0),
        "torso": GroupMetrics(rows=1, positives=1, auc=None),
        "unseen": GroupMetrics(rows=0, positives=0, auc=None),
    }


def test_groups_of_another_border_do_not_merge() -> None:
    with pytest.raises(OptionError, match="head_count 100 and 7"):
        StreamingByFrequency(COUNTS).merge(StreamingByFrequency(COUNTS, head_count=7))
