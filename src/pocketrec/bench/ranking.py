"""Which methods are the best of a data set, on validation rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["best_methods"]


def best_methods(figures: Mapping[str, Sequence[float | None]], count: int) -> list[str]:
    """The best methods by their mean rank over all budgets at which any of them ran.

    At each budget the best figure has rank 1 and equal figures have equal ranks; a method that did not run there has
    the last rank, for who needs a recommender of that size cannot take it.

    Args:
        figures: by method, one figure per budget (more is better), None where it did not run.
        count: how many.

    Returns:
        Names, the best first; equal ones in the order given. Methods that ran nowhere are not among them.
    """
    budgets = len(next(iter(figures.values()), ()))
    ran = [b for b in range(budgets) if any(own[b] is not None for own in figures.values())]

    def mean_rank(name: str) -> float:
        return sum(_rank(figures[name][b], [own[b] for own in figures.values()]) for b in ran) / len(ran)

    able = [name for name, own in figures.items() if any(figure is not None for figure in own)]
    return sorted(able, key=mean_rank)[:count]


def _rank(figure: float | None, all_figures: Sequence[float | None]) -> int:
    if figure is None:
        return len(all_figures)
    return 1 + sum(other is not None and other > figure for other in all_figures)
