"""Claim: int8 and int4 look-ups are faster than torch's quantized embedding bags, which read the same rows.

The rows are packed by torch's own functions and both read that memory: codes, then scale and bias of the row. Two
threads are timed by the clock on the wall, on an idle machine.

    python benchmarks/lookup_int8_int4_against_torch_quantized.py
"""

from __future__ import annotations

import sys

import measure
import torch
from machine_limits import decode_rows, read_rows, seconds_to_wake, write_output
from measure import Bar, Case, Claim, Run, Step
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

from pocketrec.native import set_threads

QUANTIZED = torch.ops.quantized
PEERS = {"int8": "torch embedding_bag_byte", "int4": "torch embedding_bag_4bit"}
PACK = {"int8": QUANTIZED.embedding_bag_byte_prepack, "int4": QUANTIZED.embedding_bag_4bit_prepack}
BAGS = {"int8": QUANTIZED.embedding_bag_byte_rowwise_offsets, "int4": QUANTIZED.embedding_bag_4bit_rowwise_offsets}


def _cases(every: list[Case]) -> list[Case]:
    one = [{"storage": storage, **case, "threads": 1} for storage in PEERS for case in every]
    two = [{**case, "threads": 2} for case in one if case["dim"] == 16]
    return one + two


@torch.no_grad()
def _measure(run: Run) -> None:
    case, ids = run.case, draw_ids(run.case)
    flat, dim, storage = stacked(case, ids), case["dim"], case["storage"]
    packed = PACK[storage](pattern(dim))
    rows, bags = filled(on_pages([total_rows(case), packed.shape[1]], torch.uint8), packed), torch.arange(LOOKUPS)

    def theirs(ids: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = BAGS[storage](rows, ids, bags, False, 0, False, None, None, False)
        return found

    def ours() -> Step:
        bank = full_bank(case, rows, storage)
        torch.testing.assert_close(bank(ids[0]).view(LOOKUPS, dim), theirs(flat[0]), rtol=1e-5, atol=1e-5)
        return cycling(bank, ids)

    def alone() -> Step:
        step = ours()

        def with_one_thread() -> None:
            set_threads(1)
            step()
            set_threads(case["threads"])

        return with_one_thread

    both = {"pocketrec": ours, PEERS[storage]: lambda: cycling(theirs, flat)}
    if case["threads"] > 1:
        run.facts["microseconds until a sleeping thread runs"] = round(1e6 * seconds_to_wake())
        run.time({**both, "pocketrec, one thread": alone})
        return
    run.time(
        {
            **both,
            "limit: read the rows": lambda: read_rows(rows, flat),
            "limit: write the output": lambda: write_output(on_pages([LOOKUPS, dim])),
            "limit: read, decode, write": lambda: decode_rows(rows, flat, dim, 8 if storage == "int8" else 4),
        }
    )


BYTE, NIBBLE = PEERS["int8"], PEERS["int4"]
CLAIM = Claim(
    name="lookup_int8_int4_against_torch_quantized",
    says="int8 takes at most .85 of torch's embedding_bag_byte; int4 at most .6 of embedding_bag_4bit at dim 16, .8 at "
    "64 and 128, and .4 with two threads at dim 16.",
    cases=_cases(shapes()),
    quick=_cases(QUICK_SHAPES)[:2],
    measure=_measure,
    bars=[
        Bar(ours="pocketrec", peer=BYTE, most=0.85, where={"threads": 1}),
        *[
            Bar(ours="pocketrec", peer=NIBBLE, most=most, where={"dim": dim, "threads": 1})
            for dim, most in ((16, 0.6), (64, 0.8), (128, 0.8))
        ],
        Bar(ours="pocketrec", peer=NIBBLE, most=0.4, where={"dim": 16, "threads": 2}),
    ],
    stopped="What stops them at dim 16. A row has 24 bytes in int8 and 12 in int4. With uniform ids both sides wait for"
    " memory: reading the rows alone takes most of the bar. With popular ids it is instructions: 39 per id in "
    "int8 and 47 in int4 (benchmarks/instruction_counts.py), most of them for 16 numbers of 8 or 16 bytes. "
    "Plain C that is given addresses, trusts them and decodes is timed beside them from now on, and with two "
    "threads the same look-up with one.",
    lookups=LOOKUPS,
)

if __name__ == "__main__":
    sys.exit(measure.main(CLAIM))
