"""Claim: with its nets, a DLRM whose tables are kept by CAFE learns at 1.08 times the cost of hashed rows.

26 tables of Criteo Kaggle's sizes, whole and capped at 10^6, at a hundredth of their bytes, hashed ids by Zipf's law,
row-wise Adagrad. Both banks have learned from some batches before they are measured, so that ids are hot. A serving
look-up and the step of a bank alone are timed, too: what CAFE adds to each id.

    python benchmarks/cost_of_cafe.py
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import measure
import torch
from dlrm_step_against_reference import DENSE, RATE, make_batches, table_sizes
from measure import Bar, Case, Claim, Run, Step
from reference_dlrm import Rows
from torch import Tensor
from workloads import LOOKUPS, cycling

from pocketrec.compress import Bank, build, freeze, size
from pocketrec.models import MODELS, ModelConfig
from pocketrec.native.keep_freed import keep_freed
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.stage import Stage
from pocketrec.spec.table import TableSpec
from pocketrec.train import TrainConfig
from pocketrec.train.optim import dense_optimizer
from pocketrec.train.step import train_step

METHODS = ("hash_rows", "cafe")
TRAINED = 64  # steps before anything is measured
SPREAD = 0x9E3779B97F4A7C15 >> 1  # odd, below 2^63: ids become hashes that have nothing to do with their order


def hashed(ids: Tensor) -> Tensor:
    """Other ids, below 2^63, of hashed tokens."""
    return (ids + 1) * SPREAD & (2**63 - 1)


def bank_of(case: Case, method: str) -> Bank:
    """A training bank."""
    tables = [
        TableSpec(name=f"C{i}", rows=n, dim=case["dim"], ids="hash63") for i, n in enumerate(table_sizes(case["cap"]))
    ]
    sizing = size(tables, case["budget"], method, optimizer=OptimizerSpec(name="rowwise_adagrad", lr=RATE))
    return build(sizing, seed=0)


def bank_step(bank: Bank, batches: list[Tensor]) -> Step:
    """Look-up, backward pass and step of a bank alone."""
    grad = torch.randn(*batches[0].shape, bank.sizing.groups[0].tables[0].table.dim) / len(batches[0])

    def step(ids: Tensor) -> None:
        bank(ids).backward(grad)
        bank.step()

    return cycling(step, batches)


def model_step(bank: Bank, case: Case, batches: list[Rows]) -> Step:
    """A step of a DLRM over the bank, as our trainer makes it."""
    model = MODELS.get("dlrm")(bank, dense_features=DENSE, config=ModelConfig(), seed=0).train()
    config = TrainConfig(batch_size=case["batch"], dense_lr=RATE, dense_optimizer="sgd")
    dense, stage = dense_optimizer(model.dense_parameters(), config), Stage(name="train")
    following = iter(range(10**9))
    return lambda: train_step(model, dense, batches[next(following) % len(batches)], config, stage, where="benchmark")


def _measure(run: Run) -> None:
    case = run.case
    batches = [Rows(one.dense, hashed(one.ids), one.label) for one in make_batches(case)]
    ids = [one.ids for one in batches]

    def trained(step: Step) -> Step:
        for _ in range(1 if run.quick else TRAINED):
            step()
        return step

    def served(method: str) -> Step:
        bank = bank_of(case, method)
        trained(bank_step(bank.train(), ids))
        frozen = freeze(bank).eval()
        return cycling(torch.no_grad()(frozen), ids)

    def of(method: str, what: str) -> Callable[[], Step]:
        if what == "look-up":
            return lambda: served(method)
        if what == "step":
            return lambda: trained(bank_step(bank_of(case, method).train(), ids))
        return lambda: trained(model_step(bank_of(case, method), case, batches))

    keep_freed()  # as our training does
    run.time({f"{method}, {what}": of(method, what) for what in case["what"] for method in METHODS})


BATCH = LOOKUPS // 26
NETS = "step with nets"
WHOLE = 10**9  # rows, which no table has
CLAIM = Claim(
    name="cost_of_cafe",
    says="A training step of a DLRM (13-512-256-64-16, 512-256-1) over `cafe` takes at most 1.08 times what it takes "
    "over `hash_rows` in as many bytes. Figures are per looked-up id.",
    cases=[
        {"dim": 16, "batch": BATCH, "cap": WHOLE, "budget": "100x", "what": ["look-up", "step", NETS]},
        {"dim": 16, "batch": BATCH, "cap": 1_000_000, "budget": "100x", "what": ["look-up", "step", NETS]},
        {"dim": 64, "batch": BATCH, "cap": 1_000_000, "budget": "100x", "what": ["look-up", "step"]},
    ],
    quick=[{"dim": 16, "batch": 64, "cap": 50, "budget": "4x", "what": ["look-up", "step", NETS]}],
    measure=_measure,
    bars=[Bar(ours=f"cafe, {NETS}", peer=f"hash_rows, {NETS}", most=1.08, where={"dim": 16})],
    stopped="What stops it. Every id is looked for in the sketch, whose buckets lie anywhere; norms of gradients are "
    "added to it after the step.",
    lookups=LOOKUPS,
)

if __name__ == "__main__":
    sys.exit(measure.main(CLAIM))
