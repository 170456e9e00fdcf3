"""Claim: a whole DLRM answers one row in .08 ms of CPU time, and 100 rows in .6 ms.

Nets 13-512-256-64-16 and 512-256-1, 26 tables of Criteo Kaggle's sizes capped at 10^6, from tensors of dense numbers
and ids to logits, in the serving form. The reference is the same model in plain torch.

    python benchmarks/one_row_inference.py
"""

from __future__ import annotations

import itertools
import sys

import measure
import torch
from dlrm_step_against_reference import make_batches, our_model, products, reference_of
from machine_limits import multiply_adds, read_all
from measure import Bar, Claim, Run, Step
from reference_dlrm import Rows
from torch import nn

from pocketrec.compress import freeze

OURS, BFLOAT16, REFERENCE = "pocketrec float32", "pocketrec bfloat16", "reference"
HELD = "pocketrec, nets held in bfloat16"
FASTER = "pocketrec, the faster"


def answer(model: nn.Module, batches: list[Rows]) -> Step:
    """Logits of one batch after the other."""
    following = itertools.cycle(batches)

    def step() -> None:
        batch = next(following)
        model(batch.dense, batch.ids)

    return step


def in_bfloat16(step: Step) -> Step:
    """The same with the products of nets in bfloat16."""

    def other() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            step()

    return other


@torch.inference_mode()
def _measure(run: Run) -> None:
    batches = make_batches(run.case)
    trained = our_model(run.case)
    served, theirs = trained.with_bank(freeze(trained.bank)).eval(), reference_of(trained).eval()
    held = served.with_nets_in(torch.bfloat16)
    first, weights = batches[0], torch.zeros(products(trained, 1, learning=False))
    torch.testing.assert_close(served(first.dense, first.ids), theirs(first.dense, first.ids), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(held(first.dense, first.ids), theirs(first.dense, first.ids), rtol=0.05, atol=0.05)
    run.time(
        {
            OURS: lambda: answer(served, batches),
            BFLOAT16: lambda: in_bfloat16(answer(served, batches)),
            HELD: lambda: answer(held, batches),
            REFERENCE: lambda: answer(theirs, batches),
            "limit: float32 products of the nets": lambda: multiply_adds(
                products(trained, len(first.ids), learning=False)
            ),
            "limit: read the nets": lambda: read_all(weights),
        }
    )
    run.found[FASTER] = min(run.found[way] for way in (OURS, BFLOAT16, HELD))


CLAIM = Claim(
    name="one_row_inference",
    says="Whole-model inference: one row takes at most .08 ms of CPU time, 100 rows at most .6 ms (bfloat16 allowed).",
    cases=[{"batch": 1, "cap": 1_000_000}, {"batch": 100, "cap": 1_000_000}],
    quick=[{"batch": 1, "cap": 50}],
    measure=_measure,
    bars=[
        Bar(ours=FASTER, most=0.08e-3, where={"batch": 1}),
        Bar(ours=FASTER, most=0.6e-3, where={"batch": 100}),
    ],
    stopped="What stops 100 rows: the matrix products alone take longer than the bar at the peak of one core; bfloat16 "
    "would help where the processor has instructions for it.",
)

if __name__ == "__main__":
    sys.exit(measure.main(CLAIM))
