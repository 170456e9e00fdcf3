from __future__ import annotations

import pytest

from pocketrec.bench.comparison import auc_interval, best_of, difference, front, pairs, rank_in, seed_aucs
from pocketrec.bench.grouping import Group, scenes
from pocketrec.metrics import paired_interval


def groups_of(runs) -> dict[str, Group]:
    (scene,) = scenes(runs)
    return {group.series.label: group for group in scene.groups}


def test_differences_are_of_equal_seeds_and_no_others(make_run) -> None:
    aucs = {"full": {0: 0.70, 1: 0.72, 2: 0.74, 9: 0.99}, "robe": {0: 0.71, 1: 0.74, 2: 0.77, 8: 0.10}}
    found = groups_of([make_run(method=m, seed=s, auc=a) for m, by_seed in aucs.items() for s, a in by_seed.items()])
    less = difference(found["robe"], found["full"])
    expected = paired_interval([0.01, 0.02, 0.03])
    assert less is not None
    assert expected is not None
    assert (less.mean, less.half, less.count) == (pytest.approx(0.02), pytest.approx(expected.half), 3)
    back = difference(found["full"], found["robe"])
    assert back is not None
    assert (back.mean, back.half) == (pytest.approx(-less.mean), pytest.approx(less.half))


def test_a_verdict_needs_an_interval_that_leaves_out_nothing(make_run) -> None:
    def verdict(*differences: float) -> str:
        runs = [make_run(method="a", seed=s, auc=0.7) for s in range(len(differences))]
        runs += [make_run(method="b", seed=s, auc=0.7 + d) for s, d in enumerate(differences)]
        found = groups_of(runs)
        less = difference(found["b"], found["a"])
        assert less is not None
        return less.verdict

    assert verdict(0.010, 0.011, 0.012) == "ahead"
    assert verdict(-0.010, -0.011, -0.012) == "behind"
    assert verdict(0.010, -0.011, 0.012) == "not told apart"
    assert verdict(0.1) == "one pair"


def test_no_common_seed_or_other_rows_are_no_pair(make_run) -> None:
    found = groups_of([make_run(method="a", seed=0), make_run(method="b", seed=1), make_run(method="c", test=None)])
    assert difference(found["a"], found["b"]) is None
    assert difference(found["a"], found["c"]) is None
    assert difference(found["a"], found["a"]) is not None


def test_runs_of_one_seed_count_as_their_mean(make_run) -> None:
    found = groups_of([make_run(auc=0.7), make_run(auc=0.8), make_run(seed=1, auc=0.9)])
    assert seed_aucs(found["robe"]) == {0: pytest.approx(0.75), 1: 0.9}
    interval = auc_interval(found["robe"])
    assert interval is not None
    assert (interval.mean, interval.count) == (pytest.approx(0.825), 2)
    assert auc_interval(groups_of([make_run()])["robe"]) is None


def test_pairs_are_within_a_budget_and_with_those_at_a_budget_of_their_own(study) -> None:
    (scene,) = scenes(study)
    name = {g.number: f"{g.series.label} {g.budget}" for g in scene.groups}
    told = {name[a]: sorted(name[b] for b in row) for a, row in pairs(scene).items()}
    assert told["robe 10x"] == ["full 1x", "min_count 10x", "min_count, int8 10x"]
    assert told["robe 100x"] == ["full 1x", "min_count 100x"]
    assert "full 1x" not in told  # nobody else has its budget


def test_ranks_and_the_best(make_run) -> None:
    runs = [make_run(method=m, auc=a) for m, a in (("a", 0.7), ("b", 0.8), ("c", 0.7), ("d", 0.6), ("e", None))]
    (scene,) = scenes(runs)
    assert [rank_in(g, scene.groups) for g in scene.groups] == [2, 1, 2, 4, None]
    best = best_of(scene.groups)
    assert best is not None
    assert best.series.method == "b"
    assert best_of([scene.groups[-1]]) is None


def test_the_front_has_what_nothing_of_as_few_bytes_beats(make_run) -> None:
    points = {"a": (100, 0.70), "b": (200, 0.69), "c": (300, 0.75), "d": (300, 0.74), "e": (400, 0.75), "f": (50, None)}
    runs = [
        make_run(method=m, budget_bytes=1000, held_bytes=b, promised_bytes=b, file_bytes=b, auc=a)
        for m, (b, a) in points.items()
    ]
    (scene,) = scenes(runs)
    assert [g.series.method for g in front(scene.groups)] == ["a", "c"]
