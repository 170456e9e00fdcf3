"""Claim: a step over a tensor train costs what its distinct prefixes cost, and little of what others take.

One table, ids by Zipf's law in order of frequency, forward and backward to the gradients of the cores (ours: pairs of
the rows of slices that were touched; the others': dense). Naive is plain torch: the slices of every id gathered and
multiplied one after the other, and autograd. tensorly-torch's FactorizedEmbedding has factors of its own choice.

    python benchmarks/tensor_train.py
"""

from __future__ import annotations

import functools
import itertools
import sys
from typing import Any

import measure
import numpy as np
import torch
from measure import Bar, Case, Claim, Missing, Run, Step
from torch import Tensor

from pocketrec.compress import Bank, build, freeze, size
from pocketrec.compress.parts.tensor_train import dim_factors, row_factors
from pocketrec.native.keep_freed import keep_freed
from pocketrec.spec.table import TableSpec

OURS, NAIVE, TENSORLY = "pocketrec", "naive, plain torch", "tensorly-torch"
LOOKED_UP = "pocketrec, look-up alone"
DIFFERENT_BATCHES = 8


def batches(case: Case) -> list[Tensor]:
    """Some batches of ids, int64 [batch, 1] each; id 0 is the most frequent."""
    law = np.cumsum(np.arange(1, case["rows"] + 1, dtype=np.float64) ** -case["zipf"])
    chances = np.random.default_rng(1).random((DIFFERENT_BATCHES, case["batch"])) * law[-1]
    return list(torch.from_numpy(np.minimum(np.searchsorted(law, chances), case["rows"] - 1))[:, :, None])


def ours(case: Case) -> Bank:
    """A bank of one table, of the case's rank."""
    table = TableSpec(name="t", rows=case["rows"], dim=case["dim"])
    return build(size([table], "1x", "tt_rec", rank=case["rank"]), seed=0)


def step_of(bank: Bank, ids: list[Tensor], grad: Tensor) -> Step:
    """Look up, backward, and the gradients as pairs; nothing is updated."""
    following = itertools.cycle(ids)

    def step() -> None:
        bank(next(following)).backward(grad)
        bank.collect()
        bank.discard()

    return step


def naive(case: Case, ids: list[Tensor], grad: Tensor) -> Step:
    """The same cores by torch: one product after the other for every id."""
    (p1, p2, p3), (q1, q2, q3), rank = row_factors(case["rows"], 3), dim_factors(case["dim"], 3), case["rank"]
    cores = [torch.randn(p1, q1 * rank), torch.randn(p2, rank * q2 * rank), torch.randn(p3, rank * q3)]
    first, middle, last = (core.requires_grad_() for core in cores)
    following = itertools.cycle(ids)

    def step() -> None:
        i = next(following)[:, 0]
        left = first[i // (p2 * p3)].view(-1, q1, rank) @ middle[i // p3 % p2].view(-1, rank, q2 * rank)
        found = left.view(-1, q1 * q2, rank) @ last[i % p3].view(-1, rank, q3)
        for core in cores:
            core.grad = None
        found.view(-1, 1, case["dim"]).backward(grad)

    return step


def tensorly(case: Case, ids: list[Tensor], grad: Tensor) -> Step:
    """tensorly-torch's layer of the same rank."""
    try:
        import tltorch  # type: ignore[import-not-found]
    except ImportError as error:
        raise Missing(f"{error}; see benchmarks/requirements.txt") from None
    if case["rows"] > 10**6:
        raise Missing("tensorly-torch needs factors whose product is the rows; see the other case")
    layer: Any = tltorch.FactorizedEmbedding(
        case["rows"], case["dim"], n_tensorized_modes=3, factorization="blocktt", rank=case["rank"]
    )
    following = itertools.cycle(ids)

    def step() -> None:
        layer.zero_grad(set_to_none=True)
        layer(next(following)[:, 0]).view(-1, 1, case["dim"]).backward(grad)

    return step


def _looked_up(bank: Bank, ids: list[Tensor]) -> Step:
    served, following = freeze(bank), itertools.cycle(ids)

    @torch.no_grad()
    def step() -> None:
        served(next(following))

    return step


def _measure(run: Run) -> None:
    case = run.case
    ids, grad = batches(case), torch.randn(case["batch"], 1, case["dim"], generator=torch.Generator().manual_seed(4))
    keep_freed()  # as our training does; the others, in the same process, have the good of it too
    bank = functools.cache(functools.partial(ours, case))
    run.facts["distinct ids"] = float(np.mean([len(batch.unique()) for batch in ids]))
    last = row_factors(case["rows"], 3)[-1]
    run.facts["distinct prefixes"] = float(np.mean([len((batch // last).unique()) for batch in ids]))
    run.time(
        {
            OURS: lambda: step_of(bank(), ids, grad),
            LOOKED_UP: lambda: _looked_up(bank(), ids),
            NAIVE: lambda: naive(case, ids, grad),
            TENSORLY: lambda: tensorly(case, ids, grad),
        }
    )


def _case(rows: int, dim: int, rank: int, batch: int = 4096) -> Case:
    return {"rows": rows, "dim": dim, "rank": rank, "batch": batch, "zipf": 1.05}


LARGE, WIDE, WIDE_BATCH = _case(10_131_227, 16, 32), _case(10**6, 64, 16), _case(10**6, 64, 16, batch=16_384)

CLAIM = Claim(
    name="tensor_train",
    says="Forward + backward of 4096 ids take at most 6 ms at rank 32 of 10.1 million rows of 16 numbers, and at most "
    "a twentieth of tensorly-torch's time at rank 16 of 10^6 x 64, each in a process of its own (in turn within one it "
    "is a seventeenth to a nineteenth: the others drive our rows out of the caches at every turn).",
    cases=[LARGE, WIDE, WIDE_BATCH],
    quick=[_case(1000, 16, 4, batch=64)],
    measure=_measure,
    # As people use them, one in a process; in turn with us they drive everything out of the caches at each turn, and
    # ten of our steps go by until it is back: 1.9 ms, 1.4, 1.2, 1.0, ..., .75
    alone=[NAIVE, TENSORLY],
    bars=[
        Bar(ours=OURS, most=0.006, where={"rank": 32}),
        Bar(ours=OURS, peer=TENSORLY, most=0.05, where={"rank": 16, "batch": 4096}),
    ],
)

if __name__ == "__main__":
    sys.exit(measure.main(CLAIM))
