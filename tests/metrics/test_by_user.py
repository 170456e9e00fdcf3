from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from pocketrec.metrics.by_user import StreamingByUser, UserArea, by_user
from pocketrec.metrics.measures.auc import auc
from pocketrec.metrics.rows import Rows
from pocketrec.spec.errors import DataError, NotFinite

# the package has a function of the module's name
module = sys.modules[StreamingByUser.__module__]

ROWS = st.lists(
    st.tuples(
        st.booleans(), st.sampled_from([-2.5, -1.0, 0.0, 0.1, 3.0, 1e30]), st.integers(-1, 4),
        st.sampled_from([0.0, 1e-90, 0.3, 1.0, 7.7, 1e90]),
    ),
    max_size=40,
)  # fmt: skip


def reference(labels, logits, users, weights=None) -> UserArea:
    """User by user, pair by pair."""
    w = np.ones(len(labels)) if weights is None else np.asarray(weights, dtype=float)
    areas, sizes = [], []
    for user in sorted({int(u) for u in users if u >= 0}):
        mine = np.flatnonzero(np.asarray(users) == user)
        pairs = won = 0.0
        for i in mine:
            for j in mine:
                if labels[i] == 1 and labels[j] == 0:
                    pairs += w[i] * w[j]
                    won += w[i] * w[j] * (1.0 if logits[i] > logits[j] else 0.5 if logits[i] == logits[j] else 0.0)
        if pairs > 0:
            areas.append(won / pairs)
            sizes.append(w[mine].sum())
    if not areas:
        return UserArea(None, None, 0.0, 0)
    return UserArea(np.average(areas, weights=sizes), np.mean(areas), sum(sizes) / w.sum(), len(areas))


def drawn(count: int, users: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    keys = np.minimum(draw.zipf(1.4, count), users) - 1
    logits = np.round(draw.normal(0, 1, count), 1).astype(np.float32)  # ties
    return (draw.random(count) < 0.3).astype(np.float32), logits, keys * 2**40 + keys, draw.integers(1, 9, count) / 4


def test_worked_by_hand() -> None:
    # user 7 orders its pair rightly, user 8 wrongly; 9 has one class, -1 is nobody
    labels, logits, users = [0, 1, 0, 1, 1, 0, 1], [0.1, 0.4, 0.9, 0.2, 0.0, 0.0, 5.0], [7, 7, 8, 8, 9, -1, -1]
    assert by_user(labels, logits, users) == UserArea(0.5, 0.5, 4 / 7, 2)
    # with weights user 7 counts 3 and user 8 counts 1, of 7 in all
    found = by_user(labels, logits, users, [1, 2, 0.5, 0.5, 1, 1, 1])
    assert found == UserArea(0.75, 0.5, 4 / 7, 2)


def test_every_user_as_scikit_learn_has_it() -> None:
    labels, logits, users, weights = drawn(3000, 60)
    for given_weights in (None, weights):
        areas, sizes = [], []
        for user in np.unique(users):
            mine = users == user
            if 0 < labels[mine].sum() < mine.sum():
                sample = None if given_weights is None else given_weights[mine]
                areas.append(roc_auc_score(labels[mine], logits[mine], sample_weight=sample))
                sizes.append(mine.sum() if sample is None else sample.sum())
                alone = by_user(labels[mine], logits[mine], users[mine], sample)
                assert (alone.gauc, alone.user_auc) == pytest.approx((areas[-1],) * 2, abs=1e-12)
        found = by_user(labels, logits, users, given_weights)
        assert found.gauc == pytest.approx(np.average(areas, weights=sizes), abs=1e-12)
        assert found.user_auc == pytest.approx(np.mean(areas), abs=1e-12)
        assert found.users == len(areas) < len(np.unique(users))


@given(ROWS, st.booleans())
def test_equals_counting_pairs(rows, weighted) -> None:
    labels, logits, users, weights = (np.array(c) for c in zip(*rows, strict=True)) if rows else (np.zeros(0),) * 4
    weights = weights if weighted else None
    found = by_user(labels, logits, users.astype(np.int64), weights)
    expected = reference(labels, logits, users, weights)
    assert found.users == expected.users
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == (None if theirs is None else pytest.approx(theirs, rel=1e-9))


@given(ROWS.filter(bool), st.integers(1, 5), st.booleans(), st.data())
def test_order_and_portions_change_nothing_to_the_last_bit(rows, portions, weighted, data) -> None:
    labels, logits, users, weights = (np.array(c) for c in zip(*rows, strict=True))
    weights = weights if weighted else None
    streams = [StreamingByUser(), StreamingByUser()]
    for k, part in enumerate(np.array_split(np.array(data.draw(st.permutations(range(len(rows))))), portions)):
        checked = Rows.checked(labels[part], logits[part], None if weights is None else weights[part])
        streams[k % 2].update(checked, users[part])
    before = streams[0].area()
    streams[1].merge(streams[0])
    assert streams[1].area() == by_user(labels, logits, users, weights)
    assert streams[0].area() == before


@pytest.mark.parametrize("weighted", [False, True])
def test_users_are_sorted_in_parts_with_the_same_result(weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    labels, logits, users, weights = drawn(2000, 90, seed=3)
    weights = weights if weighted else None
    whole = by_user(labels, logits, users, weights)
    monkeypatch.setattr(module, "_SORTED_ROWS", 100)
    monkeypatch.setattr(module, "_BLOCK_ROWS", 64)
    sorted_rows = []
    real = module._areas
    monkeypatch.setattr(module, "_areas", lambda block: (sorted_rows.append(len(block.users)), real(block))[1])
    stream = StreamingByUser()
    for start in range(0, 2000, 33):
        part = slice(start, start + 33)
        stream.update(Rows.checked(labels[part], logits[part], weights[part] if weighted else None), users[part])
    assert stream.area() == pytest.approx(whole, rel=1e-14)
    assert (len(sorted_rows), sum(sorted_rows)) == (20, 2000)
    largest = np.unique(users, return_counts=True)[1].max()
    assert max(sorted_rows) < largest + 400


def test_a_row_takes_13_bytes_and_17_with_weights() -> None:
    labels, logits, users, weights = drawn(1000, 20)
    for given_weights, row_bytes in ((None, 13), (weights, 17)):
        stream = StreamingByUser()
        for part in (slice(0, 400), slice(400, 1000)):
            w = None if given_weights is None else given_weights[part]
            stream.update(Rows.checked(labels[part], logits[part], w), users[part])
        assert stream.held_bytes() == 1000 * row_bytes
        stream.area()
        assert stream.held_bytes() == 1000 * row_bytes


def test_logits_that_float32_cannot_tell_apart_stay_apart() -> None:
    assert by_user([1, 0], [1.0, 1.0 + 1e-12], [5, 5]).gauc == 0.0
    stream = StreamingByUser()
    stream.update(Rows.checked([1, 0], [1.0, 1.0]), [5, 5])
    stream.update(Rows.checked([1], [1.0 + 1e-12]), [5])
    assert stream.area().gauc == 0.75


def test_one_user_has_the_auc_of_all_rows() -> None:
    labels, logits, _, weights = drawn(800, 3)
    nobody_else = np.full(800, 2**62)
    assert by_user(labels, logits, nobody_else).gauc == pytest.approx(auc(labels, logits), abs=1e-14)
    assert by_user(labels, logits, nobody_else, weights).gauc == pytest.approx(auc(labels, logits, weights), abs=1e-14)


def test_keys_beyond_the_exact_floats_stay_apart() -> None:
    users = np.array([2**62, 2**62 + 1, 2**62, 2**62 + 1])
    assert by_user([1, 1, 0, 0], [1.0, 0.0, 0.0, 1.0], users) == UserArea(0.5, 0.5, 1.0, 2)


def test_without_users_of_both_classes_there_is_no_area() -> None:
    assert by_user([], [], np.zeros(0, np.int64)) == UserArea(None, None, 0.0, 0)
    assert by_user([1, 0], [0.0, 1.0], [1, 2]) == UserArea(None, None, 0.0, 0)
    assert by_user([1, 0], [0.0, 1.0], [1, 1], [0.0, 1.0]) == UserArea(None, None, 0.0, 0)


@pytest.mark.parametrize("users", [[1], [1.0, 2.0], [[1, 2]]])
def test_users_that_are_not_one_integer_per_row_are_refused(users) -> None:
    with pytest.raises(DataError, match="users must be one integer for each of the 2 rows"):
        by_user([0, 1], [0.0, 1.0], users)
    with pytest.raises(NotFinite):
        by_user([0, 1], [0.0, np.nan], [1, 1])
