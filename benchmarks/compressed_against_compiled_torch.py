"""Claim: our compressed look-ups are faster than the same ideas in torch, compiled by `torch.compile`.

One table of 10^7 rows that 26 fields share, uniform ids, the same number of stored weights on both sides. The peers are
the published formulas in plain torch, without random signs: rows by a linear hash; the product of a quotient's and a
remainder's row; blocks of an array by the linear hash of the published ROBE code. All return fresh memory.

    python benchmarks/compressed_against_compiled_torch.py
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable

import measure
import torch
from compressed_against_uncompressed import compressed
from measure import Bar, Case, Claim, Run, Step
from torch import Tensor
from workloads import LOOKUPS, cycling, draw_ids

from pocketrec.compress import Bank
from pocketrec.native.program import LINEAR_MODULUS

BLOCK = 16
FACTORS = (1_234_577, 7_654_321, 998_877)


def hashed(ids: Tensor, rows: Tensor) -> Tensor:
    """Rows shared by a linear hash (Weinberger et al., ICML 2009)."""
    return rows[(ids * FACTORS[0] + FACTORS[1]) % LINEAR_MODULUS % rows.shape[0]]


def quotient_remainder(ids: Tensor, rows: Tensor, remainders: int) -> Tensor:
    """Products of two rows (Shi et al., KDD 2020); the remainders' rows stand last."""
    return rows[ids // remainders] * rows[rows.shape[0] - remainders + ids % remainders]


def robe(ids: Tensor, array: Tensor, dim: int) -> Tensor:
    """Blocks of one array (Desai et al., MLSys 2022): the linear hash of the published code, blocks of 16 weights."""
    blocks, within = torch.arange(dim // BLOCK), torch.arange(BLOCK)
    hashes = (ids[..., None] * FACTORS[0] + blocks * FACTORS[1] + FACTORS[2]) % LINEAR_MODULUS
    starts = hashes % (array.shape[0] - BLOCK + 1)
    return array[starts[..., None] + within].flatten(-2)


def _peer(bank: Bank, dim: int) -> Callable[[Tensor], Tensor]:
    group, tensors = bank.sizing.groups[0], bank.tensors()
    if group.method == "robe":
        return functools.partial(robe, array=tensors["0.array"], dim=dim)
    if group.method == "hash_rows":
        return functools.partial(hashed, rows=tensors["0.rows"])
    remainders = int(group.tables[0].settings["remainders"])
    return functools.partial(quotient_remainder, rows=tensors["0.rows"], remainders=remainders)


@torch.no_grad()
def _measure(run: Run) -> None:
    case, ids = run.case, draw_ids(run.case)
    banks = {
        "robe": compressed(case, "robe", block=BLOCK),
        "hash_rows": compressed(case, "hash_rows"),
        "quotient_remainder": compressed(case, "quotient_remainder"),
    }

    def ours(bank: Bank) -> Callable[[], Step]:
        return lambda: cycling(bank, ids)

    def theirs(peer: Callable[[Tensor], Tensor]) -> Callable[[], Step]:
        # compiling takes half a minute; to try that the formulas run, tracing them is enough
        faster = torch.compile(peer, backend="eager" if run.quick else "inductor")
        return lambda: cycling(faster, ids)

    for bank in banks.values():
        assert _peer(bank, case["dim"])(ids[0]).shape == bank(ids[0]).shape
    run.time(
        {
            **{f"pocketrec {name}": ours(bank) for name, bank in banks.items()},
            **{f"compiled torch {name}": theirs(_peer(bank, case["dim"])) for name, bank in banks.items()},
        }
    )


def _cases(rows: int, budgets: tuple[str, ...] = ("16x", "1000x")) -> list[Case]:
    return [
        {"tables": 1, "rows": rows, "dim": dim, "ids": "uniform", "budget": budget}
        for dim in (16, 64, 128)
        for budget in budgets
    ]


CLAIM = Claim(
    name="compressed_against_compiled_torch",
    says="ROBE (blocks of 16), hashed rows and quotient-remainder are faster than the published formulas in compiled "
    "torch.",
    cases=_cases(10_000_000),
    quick=_cases(100_000, ("100x",))[:1],
    measure=_measure,
    bars=[
        Bar(ours=f"pocketrec {name}", peer=f"compiled torch {name}", most=1.0)
        for name in ("robe", "hash_rows", "quotient_remainder")
    ],
    lookups=LOOKUPS,
)

if __name__ == "__main__":
    sys.exit(measure.main(CLAIM))
