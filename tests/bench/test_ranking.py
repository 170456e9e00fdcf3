"""The best methods."""

from __future__ import annotations

from pocketrec.bench.ranking import best_methods


def test_the_mean_rank_over_budgets_decides() -> None:
    figures = {"a": [0.9, 0.1, 0.1], "b": [0.8, 0.3, 0.3], "c": [0.7, 0.2, 0.2], "d": [0.1, 0.0, 0.0]}
    assert best_methods(figures, 4) == ["b", "a", "c", "d"]  # mean ranks 4/3, 7/3, 7/3 and 4
    assert best_methods(figures, 2) == ["b", "a"]


def test_who_is_refused_has_the_last_rank_there() -> None:
    figures = {"a": [0.9, None], "b": [0.8, 0.5], "c": [0.7, 0.4]}
    assert best_methods(figures, 3) == ["b", "a", "c"]  # 1.5, 2 and 2.5
    assert best_methods({"a": [None, 0.2], "b": [0.1, None]}, 2) == ["a", "b"]


def test_budgets_at_which_nobody_ran_and_methods_that_ran_nowhere_do_not_count() -> None:
    assert best_methods({"a": [0.1, None], "b": [None, None], "c": [0.2, None]}, 6) == ["c", "a"]
    assert best_methods({"a": [None]}, 6) == []
    assert best_methods({}, 6) == []
