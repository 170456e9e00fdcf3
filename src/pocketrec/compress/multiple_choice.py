"""One of several choices for each of many things, as cheap as possible within limits: HiGHS solves it.

HiGHS: Huangfu, Hall, Mathematical Programming Computation 10, 2018; https://highs.dev.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Limit", "Picked", "pick", "price"]

_SOLVE_S: Final = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class Limit:
    """What all picked choices together may take.

    Attributes:
        takes: float64 [choices], what each takes, 0 or more.
        most: the limit, above 0.
    """

    takes: NDArray[np.float64]
    most: float


@dataclass(frozen=True, slots=True)
class Picked:
    """One choice for each thing.

    Attributes:
        numbers: of the choices, in the order of the things.
        gap: by how much other choices may be cheaper, as the solver proved; 0 when none are.
    """

    numbers: tuple[int, ...]
    gap: float


def pick(costs: NDArray[np.float64], lengths: Sequence[int], limits: Sequence[Limit]) -> Picked | None:
    """The cheapest choices within the limits; None where there are none within them.

    Args:
        costs: float64 [choices], those of the first thing first.
        lengths: how many choices each thing has, 1 or more.
        limits: all of them are kept.
    """
    unit = float(np.abs(costs).max()) or 1.0  # the solver's tolerances are absolute
    solver, good = _solved(costs / unit, lengths, limits, whole=True)
    if not good:
        return None
    x = np.array(solver.getSolution().col_value)
    numbers = tuple(int(n) for n in np.flatnonzero(x > 0.5))
    if any(limit.takes[list(numbers)].sum() > limit.most for limit in limits):
        # within the solver's tolerance, but not within the limits: a tolerance less
        return pick(costs, lengths, [Limit(limit.takes, limit.most * (1 - 1e-6) - 1e-9) for limit in limits])
    info = solver.getInfo()
    return Picked(numbers, max(0.0, float(info.objective_function_value - info.mip_dual_bound)) * unit)


def price(costs: NDArray[np.float64], lengths: Sequence[int], limits: Sequence[Limit]) -> float:
    """What one more unit of the first limit would save, where parts of choices could be had; 0 or more."""
    unit = float(np.abs(costs).max()) or 1.0
    solver, good = _solved(costs / unit, lengths, limits, whole=False)
    if not good:
        return 0.0
    return max(0.0, -float(solver.getSolution().row_dual[len(lengths)])) * unit / limits[0].most


def _solved(
    costs: NDArray[np.float64], lengths: Sequence[int], limits: Sequence[Limit], *, whole: bool
) -> tuple[Any, bool]:
    """The solver after it ran, and whether it has a solution. Rows: one of each thing, then the limits as shares."""
    import highspy

    count, things = len(costs), len(lengths)
    each = np.repeat(np.arange(things), lengths)
    every = np.arange(count)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = count, things + len(limits)
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = costs, np.zeros(count), np.ones(count)
    lp.row_lower_ = np.concatenate([np.ones(things), np.full(len(limits), -highspy.kHighsInf)])
    lp.row_upper_ = np.ones(things + len(limits))
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = np.arange(count + 1) * (1 + len(limits))
    lp.a_matrix_.index_ = np.stack([each, *(np.full(count, things + k) for k in range(len(limits)))], 1).ravel()
    lp.a_matrix_.value_ = np.stack([every * 0.0 + 1.0, *(limit.takes / limit.most for limit in limits)], 1).ravel()
    if whole:
        lp.integrality_ = [highspy.HighsVarType.kInteger] * count
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    for option, value in (
        ("output_flag", False), ("time_limit", _SOLVE_S), ("mip_rel_gap", 0.0), ("mip_abs_gap", 0.0), ("threads", 1),
    ):  # fmt: skip
        solver.setOptionValue(option, value)
    solver.passModel(lp)
    solver.run()
    good = solver.getInfo().primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    return solver, good
