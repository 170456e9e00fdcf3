from __future__ import annotations

from pocketrec.bench.filters import filter_of
from pocketrec.bench.grouping import scenes


def test_what_can_be_chosen_and_what_each_group_answers(study, make_run) -> None:
    found = filter_of(scenes([*study, make_run(data="other", model="wide", budget="20236")]))
    assert found.choices == [
        ("Data set", ["sample", "other"]),
        ("Model", ["dlrm", "wide"]),
        ("Method", ["full", "min_count", "robe"]),
        ("Storage", ["float32", "int8"]),
    ]
    assert found.budgets == [
        (4_000, "4 kB (100x)"),
        (20_236, "20.2 kB"),
        (40_000, "40 kB (10x)"),
        (400_000, "400 kB (1x)"),
    ]
    assert found.groups == [
        [0, 0, 0, 0, 400_000],
        [0, 0, 1, 0, 40_000],
        [0, 0, 1, 1, 40_000],
        [0, 0, 2, 0, 40_000],
        [0, 0, 1, 0, 4_000],
        [0, 0, 2, 0, 4_000],
        [1, 1, 2, 0, 20_236],
    ]


def test_nothing_that_ran_is_nothing_to_choose() -> None:
    assert filter_of([]).choices == filter_of([]).budgets == filter_of([]).groups == []
