"""Claim: a compressed look-up is faster than the uncompressed one, because less memory has to be reached.

One table of 10^7 rows that 26 fields share, uniform ids. Ours, compressed and not, lie on pages of 2 MiB and write into
memory that is there already; torch's table is as torch makes it (ordinary pages, fresh output). Nothing can be faster
than writing the output, which is timed alone, and so is finding the addresses, which are written then, not used.

    python benchmarks/compressed_against_uncompressed.py
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import measure
import torch
from machine_limits import write_output
from measure import Bar, Case, Claim, Run, Step
from torch import Tensor
from torch.nn import functional
from workloads import (
    LOOKUPS,
    addresses_into,
    alike,
    counted,
    cycling,
    draw_ids,
    fields_of,
    filled,
    full_bank,
    into,
    joined_into,
    on_pages,
    parts_of,
    pattern,
    stacked,
    table_specs,
    total_rows,
)

from pocketrec.compress import Bank, attach, build, freeze, size

FULL, TORCH, BLOOM = "pocketrec full", "torch embedding_bag as installed", "pocketrec bloom"
QUARTERS, ELEMENTS = "pocketrec lma, block a quarter of dim", "pocketrec lma, element-wise"


def compressed(case: Case, method: str, **options: Any) -> Bank:
    """A serving bank of this method at the case's budget, on pages of 2 MiB."""
    sizing = size(table_specs(case), case["budget"], method, stats=counted(case), **options)
    signed = sum(int(t.settings.get("ids", 0)) for g in sizing.groups for t in g.tables)  # only lma has signatures
    bank = freeze(build(sizing, seed=0, data={"value_sets": alike(case, signed)}))
    placed = {name: on_pages(tensor.shape, tensor.dtype).copy_(tensor) for name, tensor in bank.tensors().items()}
    return attach(bank.sizing, placed, fields=fields_of(case)).eval()


def methods(dim: int) -> dict[str, dict[str, Any]]:
    """Contestants: a method and its options."""
    return {
        "pocketrec robe": {"method": "robe"},
        f"pocketrec robe, block {dim}": {"method": "robe", "block": dim},
        "pocketrec hash_rows": {"method": "hash_rows"},
        "pocketrec quotient_remainder": {"method": "quotient_remainder"},
        "pocketrec bloom without weights": {"method": "bloom", "weight_hashes": 0},
        f"pocketrec lma, block {dim}": {"method": "lma", "block": dim},
        f"pocketrec lma, block {dim}, no signs": {"method": "lma", "block": dim, "sign": False},
        f"pocketrec lma, block {dim}, int8": {"method": "lma", "block": dim, "storage": "int8"},
        f"pocketrec lma, block {dim}, int4": {"method": "lma", "block": dim, "storage": "int4"},
        QUARTERS: {"method": "lma", "block": dim // 4},
        ELEMENTS: {"method": "lma", "block": 1, "keys": 15, "bits": 4, "picks": 8},
    }


@torch.no_grad()
def _measure(run: Run) -> None:
    case, ids = run.case, draw_ids(run.case)
    dim, flat, bags = case["dim"], stacked(case, ids), torch.arange(LOOKUPS)
    out = on_pages([LOOKUPS, dim])

    def full() -> Step:
        return into(full_bank(case, filled(on_pages([total_rows(case), dim]), pattern(dim))), ids, out)

    def of(options: dict[str, Any]) -> Callable[[], Step]:
        return lambda: into(compressed(case, **options), ids, out)

    def installed() -> Step:
        rows = filled(torch.empty(total_rows(case), dim), pattern(dim))

        def step(ids: Tensor) -> Tensor:
            return functional.embedding_bag(ids, rows, bags, mode="sum")

        return cycling(step, flat)

    def addresses_of(options: dict[str, Any]) -> Step:
        bank = compressed(case, **options)
        return addresses_into(bank, ids, torch.empty(LOOKUPS * parts_of(bank), dtype=torch.int64))

    named = {name.replace(f"block {dim}", "block dim"): options for name, options in methods(dim).items()}
    run.time(
        {FULL: full, TORCH: installed, "limit: write the output": lambda: write_output(out)}
        | {name: of(options) for name, options in named.items()}
        | {BLOOM: lambda: joined_into(compressed(case, "bloom"), ids, out)}
        | {f"{BLOOM}, int8": lambda: joined_into(compressed(case, "bloom", storage="int8"), ids, out)}
        | {f"{name}: addresses": functools.partial(addresses_of, options) for name, options in named.items()}
    )


def _cases(rows: int) -> list[Case]:
    return [
        {"tables": 1, "rows": rows, "dim": dim, "ids": "uniform", "budget": budget}
        for dim in (16, 64, 128)
        for budget in ("16x", "1000x")
    ]


OURS = (
    "pocketrec robe", "pocketrec robe, block dim", "pocketrec hash_rows", "pocketrec quotient_remainder",
    "pocketrec bloom without weights", BLOOM, f"{BLOOM}, int8", "pocketrec lma, block dim, no signs",
    "pocketrec lma, block dim, int8",
)  # fmt: skip
CLAIM = Claim(
    name="compressed_against_uncompressed",
    says="ROBE, hashed rows, quotient-remainder, Bloom codes and LMA against our own float32 table of 10^7 rows, same "
    "pages, output preallocated: at 16x at most 1.1, at 1000x at most .4 (dim 16) and .6 (dim 128); against torch as "
    "installed at most .3 at 1000x, dim 128.",
    cases=_cases(10_000_000),
    quick=[{**_cases(100_000)[0], "budget": "100x"}],
    measure=_measure,
    bars=[
        Bar(ours=ours, peer=peer, most=most, where=where)
        for peer, most, where in (
            (FULL, 1.1, {"budget": "16x"}),
            (FULL, 0.4, {"budget": "1000x", "dim": 16}),
            (FULL, 0.6, {"budget": "1000x", "dim": 128}),
            (TORCH, 0.3, {"budget": "1000x", "dim": 128}),
        )
        for ours in OURS
    ],
    stopped="What stops them. An address must be found before a row is read, and the vector is written afterwards; both"
    " are timed by themselves below, and what is left is reading. At dim 16 the uncompressed look-up needs one "
    "line per id, which comes while others are under way, so that 1000 times less memory saves it little: a row"
    " of 64 bytes from a near cache still takes its instructions. `hash_rows` spends half of its time on two "
    "rounds of a 64-bit mixing hash, each of two products that AVX2 makes of six instructions; "
    "`quotient_remainder` reads two rows. `robe` draws, with signs, three such hashes per block; its weights "
    "begin anywhere, so that a block lies on one line more than a row does. Blocks of 4, which it takes unless "
    "told otherwise, are 4 to 32 lines anywhere per vector: they are there for their AUC. Who wants speed says "
    "`block=dim`, of `lma`, too, whose frequent ids then share a vector or none; there the bars are of look-ups "
    "without signs. With them, and with shorter blocks or single weights, it is shown without a bar. At dim 128 and "
    "1000x writing the vectors alone takes more than half of what a bar of .6 allows, and how much is left for an "
    "address and a read from the second cache or the third depends on how fast main memory is beside them: where it "
    "is fast, even `hash_rows`, one hash and one row, is over the bar.",
    lookups=LOOKUPS,
)

if __name__ == "__main__":
    sys.exit(measure.main(CLAIM))
