"""Claim: forward, backward and exact row-wise Adagrad are faster than FBGEMM's fused tables and than torch's Adagrad.

Same ids, same upstream gradient, same rule: duplicates summed first, one accumulator per row. That both end at the same
numbers is checked on a small table first. Everybody's memory lies on pages of 2 MiB: a table cannot be lent to FBGEMM,
but torch's allocator, which it uses, takes such pages where THP_MEM_ALLOC_ENABLE=1 is set. torch's sparse Adagrad (one
accumulator per weight, the nearest that torch has) runs in processes of its own, and not where its temporaries would
not fit into memory.

    python benchmarks/update_against_fbgemm.py
"""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable, Sequence
from typing import Any

import measure
import torch
from machine_limits import change_rows, read_rows, write_output
from measure import Bar, Case, Claim, Missing, Run, Step
from torch import Tensor
from workloads import (
    BATCH,
    FIELDS,
    LOOKUPS,
    QUICK_SHAPES,
    draw_ids,
    fields_of,
    filled,
    on_pages,
    pattern,
    shapes,
    stacked,
    table_specs,
    total_rows,
)

from pocketrec.compress import Bank, attach, layout, size
from pocketrec.native.keep_freed import keep_freed
from pocketrec.spec.optimizer import OptimizerSpec

OURS, FBGEMM, TORCH = "pocketrec", "FBGEMM exact row-wise Adagrad", "torch sparse Adagrad"
RULE = OptimizerSpec(name="rowwise_adagrad", lr=0.05, eps=1e-8)
Learn = Callable[[Tensor], object]


def ours(case: Case, grad: Tensor) -> tuple[Learn, Bank]:
    """A step of a bank in training: look up, backward, update."""
    sizing = size(table_specs(case), "1x", "full", optimizer=RULE)
    tensors = {place.name: on_pages(place.spec.shape).zero_() for place in layout(sizing, "train")}
    filled(tensors["0.rows"], pattern(case["dim"]))
    bank = attach(sizing, tensors, form="train", fields=fields_of(case)).train()

    def learn(ids: Tensor) -> None:
        bank(ids).backward(grad)
        bank.step()

    return learn, bank


def fbgemm(case: Case, grad: Tensor) -> tuple[Learn, Any]:
    """The same by fbgemm-gpu-cpu. Its ids come table by table, which is prepared outside of the clock."""
    try:
        from fbgemm_gpu.split_embedding_configs import EmbOptimType  # type: ignore[import-not-found]
        from fbgemm_gpu.split_table_batched_embeddings_ops_common import EmbeddingLocation  # type: ignore[import-not-found]
        from fbgemm_gpu.split_table_batched_embeddings_ops_training import (  # type: ignore[import-not-found]
            ComputeDevice,
            SplitTableBatchedEmbeddingBagsCodegen,
        )
    except (ImportError, OSError) as error:
        raise Missing(f"{error}; see benchmarks/requirements.txt") from None
    tables = SplitTableBatchedEmbeddingBagsCodegen(
        [(case["rows"], case["dim"], EmbeddingLocation.HOST, ComputeDevice.CPU)] * case["tables"],
        feature_table_map=[field % case["tables"] for field in range(FIELDS)],
        optimizer=EmbOptimType.EXACT_ROWWISE_ADAGRAD,
        learning_rate=RULE.lr,
        eps=RULE.eps,
        stochastic_rounding=False,
    )
    for rows in tables.split_embedding_weights():
        filled(rows, pattern(case["dim"]))
    offsets, flat_grad = torch.arange(LOOKUPS + 1), grad.view(BATCH, -1)

    def learn(by_table: Tensor) -> None:
        tables(by_table, offsets).backward(flat_grad)

    return learn, tables


def sparse_adagrad(case: Case, grad: Tensor) -> Learn:
    """The same by nn.EmbeddingBag(sparse=True) over one stacked table and torch.optim.Adagrad."""
    if total_rows(case) * case["dim"] > 10**9:
        raise Missing("table, state and temporaries of torch's Adagrad at 10^7 x 128 do not fit into 24 GiB")
    table = torch.nn.EmbeddingBag(
        total_rows(case), case["dim"], mode="sum", sparse=True,
        _weight=filled(torch.empty(total_rows(case), case["dim"]), pattern(case["dim"])),
    )  # fmt: skip
    optimizer = torch.optim.Adagrad(table.parameters(), lr=RULE.lr, eps=RULE.eps)
    bags, flat_grad = torch.arange(LOOKUPS), grad.view(LOOKUPS, -1)

    def learn(flat: Tensor) -> None:
        optimizer.zero_grad()
        table(flat, bags).backward(flat_grad)
        optimizer.step()

    return learn


def check(grad: Tensor) -> float:
    """The largest difference between us and FBGEMM after three steps on a small table; AssertionError if above 1e-5."""
    case: Case = {"tables": FIELDS, "rows": 100, "dim": grad.shape[2], "ids": "zipf 1.1"}
    (mine, bank), (theirs, tables) = ours(case, grad), fbgemm(case, grad)
    rows = bank.tensors()["0.rows"]
    for one, same in zip(tables.split_embedding_weights(), torch.split(rows, case["rows"]), strict=True):
        one.copy_(same)
    for ids in draw_ids(case)[:3]:
        mine(ids)
        theirs(ids.t().flatten())
    apart = (rows - torch.cat(tables.split_embedding_weights())).abs().max()
    assert apart <= 1e-5, f"FBGEMM and pocketrec differ by {apart} after three steps"
    return float(apart)


def _cycling(learn: Learn, batches: Sequence[Tensor]) -> Step:
    following = itertools.cycle(batches)
    return lambda: learn(next(following))


def _limit(rows: Tensor, flat: Sequence[Tensor]) -> Step:
    """Read the looked-up rows, write them out, read their gradients, change each touched row once."""
    grads, out = (on_pages([LOOKUPS, rows.shape[1]]).zero_() for _ in range(2))
    steps = (
        read_rows(rows, flat), write_output(out), read_rows(grads, [torch.arange(LOOKUPS)]),
        change_rows(rows, [torch.unique(ids) for ids in flat]),
    )  # fmt: skip
    return lambda: [step() for step in steps]


def _measure(run: Run) -> None:
    case, ids = run.case, draw_ids(run.case)
    grad = torch.randn(BATCH, FIELDS, case["dim"], generator=torch.Generator().manual_seed(4)) * 1e-3
    flat, by_table = stacked(case, ids), [batch.t().flatten() for batch in ids]
    if run.only is None:
        keep_freed()  # as our training does; FBGEMM, in the same process, has the good of it too

    mine = functools.cache(functools.partial(ours, case, grad))

    def peer() -> Step:
        run.facts["largest difference after three steps"] = check(grad)
        return _cycling(fbgemm(case, grad)[0], by_table)

    run.time(
        {
            OURS: lambda: _cycling(mine()[0], ids),
            FBGEMM: peer,
            TORCH: lambda: _cycling(sparse_adagrad(case, grad), flat),
            "limit: read, write, change": lambda: _limit(mine()[1].tensors()["0.rows"], flat),
        }
    )


CLAIM = Claim(
    name="update_against_fbgemm",
    says="Forward + backward + exact row-wise Adagrad takes at most .8 of FBGEMM's in the median over shapes, never "
    "above 1.25, and at most .2 of torch's sparse Adagrad.",
    cases=shapes(),
    quick=QUICK_SHAPES,
    measure=_measure,
    bars=[
        Bar(ours=OURS, peer=FBGEMM, most=0.8, median=True),
        Bar(ours=OURS, peer=FBGEMM, most=1.25),
        Bar(ours=OURS, peer=TORCH, most=0.2),
    ],
    stopped="What stops it: reading rows and gradients once, writing the output and changing the rows once, in plain C "
    "that is given all addresses and no duplicates (the limit), takes two thirds of our step where rows are "
    "wide; the rest is finding duplicates and adding them up.",
    lookups=LOOKUPS,
    alone=[TORCH],
    environment={"THP_MEM_ALLOC_ENABLE": "1"},
)

if __name__ == "__main__":
    sys.exit(measure.main(CLAIM))
