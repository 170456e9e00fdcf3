"""Claim: the memory of a step grows with its batch and not with the tables: 10^8 rows take no more than 10^6.

What steps of a DLRM take beyond parameters and optimizer state, by torch's allocations in one step and by the resident
memory of twenty, each in a process of its own (see step_cost_is_the_batch.py). 26 tables, dim 16, row-wise Adagrad; the
ids are the same for few rows and for many. 10^8 rows and their state take 6.8 GB.

    python benchmarks/step_memory.py
"""

from __future__ import annotations

import sys

import measure
from measure import Bar, Case, Claim, Run
from step_cost_is_the_batch import TABLES, memory_in_a_process

FEW, MANY = "few rows", "many rows"
SMALL, LARGE = "small batch, per row", "large batch, per row"


def _measure(run: Run) -> None:
    case = run.case
    few, many = case["few"] // TABLES, case["many"] // TABLES
    kind, small, large = case["memory"], case["small"], case["large"]
    found = memory_in_a_process(few, few, small)[kind]
    run.found = {
        FEW: found,
        MANY: memory_in_a_process(few, many, small)[kind],
        SMALL: found / small,
        LARGE: memory_in_a_process(few, few, large)[kind] / large,
    }


def _cases(few: int, many: int, small: int, large: int) -> list[Case]:
    return [
        {"memory": kind, "few": few, "many": many, "small": small, "large": large} for kind in ("allocated", "resident")
    ]


CLAIM = Claim(
    name="step_memory",
    says="The peak memory of a step beyond parameters and state is the same for 10^6 and 10^8 rows, and at most "
    "proportional to the batch.",
    cases=_cases(10**6, 10**8, 512, 8192),
    quick=_cases(2_600, 5_200, 16, 32)[:1],
    measure=_measure,
    bars=[
        Bar(ours=MANY, peer=FEW, most=1.0, where={"memory": "allocated"}),
        Bar(ours=MANY, peer=FEW, most=1.1, where={"memory": "resident"}),
        # what does not depend on the batch, such as the gradients of the nets, makes the small batch dearer per row
        Bar(ours=LARGE, peer=SMALL, most=1.0),
    ],
    unit="bytes",
)

if __name__ == "__main__":
    sys.exit(measure.main(CLAIM))
