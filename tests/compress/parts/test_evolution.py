from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from pocketrec.compress.parts.evolution import Evolution, best_of

PAPER = Evolution(generations=30, mutations=10, crossovers=10, parents=10, rate=0.1, most=16)
FIRST = [8] * 26


def planted(widths: Sequence[int]) -> float:
    """Best where table i has width i modulo 16 and one."""
    return -sum(abs(w - (1 + i % 16)) for i, w in enumerate(widths)) / 400


def evolved(
    plan: Evolution = PAPER, seed: int = 5, first: Sequence[int] = FIRST
) -> tuple[list[list[int]], list[float]]:
    log, fitness = [list(first)], [planted(first)]
    for number in range(1, plan.candidates):
        log.append(plan.child(number, log, fitness, seed))
        fitness.append(planted(log[-1]))
    return log, fitness


def test_the_paper_scores_six_hundred_and_the_given_one() -> None:
    assert PAPER.candidates == 601


def test_the_first_generation_is_random_and_uniform() -> None:
    log, _ = evolved()
    numbers = [n for widths in log[1:21] for n in widths]
    assert set(numbers) == set(range(1, 17))
    assert abs(sum(numbers) / len(numbers) - 8.5) < 4 * math.sqrt(16**2 / 12 / len(numbers))


def test_children_are_a_function_of_the_log_and_the_seed() -> None:
    log, fitness = evolved()
    assert evolved() == (log, fitness)
    for number in (1, 20, 21, 37, 300, 600):
        assert PAPER.child(number, log[:number], fitness[:number], 5) == log[number], "from any candidate on"
    assert evolved(seed=6)[0] != log


def test_nothing_that_was_scored_is_changed() -> None:
    log, fitness = [list(FIRST)], [planted(FIRST)]
    for number in range(1, 100):
        before = [list(widths) for widths in log]
        child = PAPER.child(number, log, fitness, 1)
        assert log == before
        assert all(child is not widths for widths in log)
        log.append(child)
        fitness.append(planted(child))


def test_the_best_so_far_rises_and_ends_well_above_random_ones() -> None:
    _, fitness = evolved()
    best = [max(fitness[: n + 1]) for n in range(len(fitness))]
    assert best == sorted(best)
    by_generation = [sum(fitness[1 + 20 * g : 21 + 20 * g]) / 20 for g in range(30)]
    assert best[-1] > max(fitness[:21]) + 0.1
    assert by_generation[-1] > by_generation[0] + 0.1


def test_mutations_draw_a_tenth_of_the_widths_of_the_best_parents_anew() -> None:
    log, fitness = evolved()
    changed = drawn = 0
    for generation in range(1, 30):
        first = 1 + 20 * (generation - 1)
        before = range(first if generation > 1 else 0, first + 20)
        parents = sorted(before, key=lambda n: (-fitness[n], n))[:10]
        for place in range(10):
            child, parent = log[first + 20 + place], log[parents[place]]
            changed += sum(a != b for a, b in zip(child, parent, strict=True))
            drawn += len(child)
    expected = 0.1 * 15 / 16  # one in sixteen is drawn as it was
    assert abs(changed / drawn - expected) < 4 * math.sqrt(expected / drawn)


def test_crossovers_are_cut_between_tables() -> None:
    log, fitness = evolved()
    for generation in (1, 7, 29):
        first = 1 + 20 * (generation - 1)
        before = range(first if generation > 1 else 0, first + 20)
        parents = [log[n] for n in sorted(before, key=lambda n: (-fitness[n], n))[:10]]
        for place in range(10, 20):
            child = log[first + 20 + place]
            assert any(
                child == [*one[:cut], *other[cut:]]
                for one in parents
                for other in parents
                if one is not other
                for cut in range(1, 26)
            )


def test_the_given_candidate_may_have_children() -> None:
    plan = Evolution(generations=2, mutations=1, crossovers=0, parents=1, rate=1e-12, most=16)
    perfect = [1 + i % 16 for i in range(26)]
    log, _ = evolved(plan, first=perfect)
    assert log[2] == perfect != log[1]


@pytest.mark.parametrize("tables", [1, 2])
def test_few_tables_and_one_parent_are_enough(tables: int) -> None:
    plan = Evolution(generations=3, mutations=0, crossovers=2, parents=1, rate=0.5, most=4)
    log, _ = evolved(plan, first=[2] * tables)
    assert all(len(widths) == tables and set(widths) <= {1, 2, 3, 4} for widths in log)


def test_of_equal_candidates_the_first_is_the_best() -> None:
    assert best_of([0.5, 0.7, 0.7, 0.1]) == 1
