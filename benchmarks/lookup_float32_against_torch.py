"""Claim: a float32 look-up takes no longer than torch's `embedding_bag` over one stacked table.

Both read the same memory on the same pages of 2 MiB. torch gets the rows of the stacked table, ready made; ours is the
bank's call with ids per table, its Python layers included. Each returns fresh memory.

    python benchmarks/lookup_float32_against_torch.py
"""

from __future__ import annotations

import sys

import measure
import torch
from machine_limits import read_rows, write_output
from measure import Bar, Claim, Run, Step
from torch.nn import functional
from workloads import (
    LOOKUPS,
    QUICK_SHAPES,
    cycling,
    draw_ids,
    filled,
    full_bank,
    on_pages,
    pattern,
    shapes,
    stacked,
    total_rows,
)


@torch.no_grad()
def _measure(run: Run) -> None:
    case, ids = run.case, draw_ids(run.case)
    flat, dim = stacked(run.case, ids), run.case["dim"]
    rows = filled(on_pages([total_rows(case), dim]), pattern(dim))
    bank, bags = full_bank(case, rows), torch.arange(LOOKUPS)

    def theirs(ids: torch.Tensor) -> torch.Tensor:
        return functional.embedding_bag(ids, rows, bags, mode="sum")

    def ours() -> Step:
        assert torch.equal(bank(ids[0]).view(LOOKUPS, dim), theirs(flat[0])), "the two disagree"
        return cycling(bank, ids)

    run.time(
        {
            "pocketrec": ours,
            "torch embedding_bag": lambda: cycling(theirs, flat),
            "limit: read the rows": lambda: read_rows(rows, flat),
            "limit: write the output": lambda: write_output(on_pages([LOOKUPS, dim])),
        }
    )


CLAIM = Claim(
    name="lookup_float32_against_torch",
    says="A float32 look-up takes at most as long as torch's embedding_bag over one stacked table on the same pages.",
    cases=shapes(),
    quick=QUICK_SHAPES,
    measure=_measure,
    bars=[
        Bar(ours="pocketrec", peer="torch embedding_bag", most=1.0, median=True),
        Bar(ours="pocketrec", peer="torch embedding_bag", most=1.25),
    ],
    lookups=LOOKUPS,
)

if __name__ == "__main__":
    sys.exit(measure.main(CLAIM))
