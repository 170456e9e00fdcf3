"""Claim: the quick training step costs no AUC: a DLRM of ours scores within .001 of the same DLRM in plain torch.

The real rows of a Criteo log, divided by time; nets 13-512-256-64-16 and 512-256-1, plain tables of dim 16 in float32,
SGD for nets and tables. In a case both sides start from the same weights and learn from the same batches in the same
order; the case's seed draws both. Ours is trained by pocketrec's trainer and judged as a run judges, the reference by a
loop of a few lines. The 95 % interval of the paired differences says how far apart they are. Rows have the ids and the
numbers that the pipeline gives them, with the vocabulary of the training rows. Each side reads the test rows once.

The first 137,139 rows of a file in the layout of Criteo Kaggle's train.txt are taken; our figures are of a .3 % sample
in its order of time. Its licence forbids to pass rows on, so CRITEO_SAMPLE must name the file.

    CRITEO_SAMPLE=path/to/train.txt.gz python benchmarks/auc_against_reference.py
    CRITEO_SAMPLE=path/to/train.txt.gz python benchmarks/auc_against_reference.py --choose
    CRITEO_SAMPLE=path/to/train.txt.gz python benchmarks/auc_against_reference.py --rounding
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import measure
import torch
from dlrm_step_against_reference import BFLOAT16, OURS, REFERENCE, reference_of
from measure import Case, Claim, Interval, Missing, Run
from reference_dlrm import ReferenceDlrm, Rows, train_step

from pocketrec.compress import build, freeze
from pocketrec.data.batches import Order
from pocketrec.data.dataset import Dataset
from pocketrec.data.split import Part
from pocketrec.data.synthetic import SyntheticSpec, write_synthetic
from pocketrec.metrics import auc
from pocketrec.models import Model
from pocketrec.pipeline.config import RunConfig, SplitConfig
from pocketrec.pipeline.data import open_data
from pocketrec.pipeline.judge import judge
from pocketrec.pipeline.size import size_run
from pocketrec.pipeline.train import make_model
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.train import TrainConfig, Trainer

# Train, validation, test: first 6/7 of the rows and the last 1/7, and of the former the last tenth for choosing.
ROWS = (105_792, 11_755, 19_592)

# What `--choose` found: the reference alone, a seed that is of no case, AUC on validation rows after epochs 1, 2 and 3.
# Batch 64: rate .1 .7185 .7297 .7431, .3 .7267 .7415 .7518, .5 .7293 .7427 .7501, 1 .7325 .7446 .7447.
# Batch 128: rate .1 .7127 .7208 .7298, .3 .7208 .7310 .7430, .5 .7244 .7392 .7500, 1 .7290 .7418 .7487.
# A third epoch would bring .007; two take four minutes per seed where the processor has no instructions for bfloat16.
# Of two epochs rate 1 is the best, but there runs scatter: with it, on seeds 1 to 5, ours in float32 less the
# reference gave -.0030 to +.0017, so that twenty seeds would be needed to tell .001. How far apart two runs of one
# program are says `--rounding`: a reference whose weights begin one rounding away ends with another AUC on validation
# rows, by -.0004 and -.0006 at rate 1 (seeds 100 and 101), by -.0001 twice at .3. So .3 is taken, and ten other
# seeds.
BATCH, RATE, EPOCHS = 64, 0.3, 2
CHOOSING_SEED, MOST_EPOCHS = 100, 3
GRID = [(batch, rate) for batch in (64, 128) for rate in (0.1, 0.3, 0.5, 1.0)]
ROUNDING = [(rate, seed) for rate in (0.3, 1.0) for seed in (100, 101)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealt:
    """The batches of every epoch, in memory, as the trainer asks for them; no validation rows.

    Attributes:
        epochs: the batches of each.
        rows: per epoch.
    """

    epochs: Sequence[Sequence[Rows]]
    rows: int

    def source(self, part: Literal["train", "validation"], id_spaces: Sequence[str]) -> Dealt | None:
        """The rows of a part."""
        return self if part == "train" else None

    def batch_count(self, batch_size: int) -> int:
        """Batches per epoch."""
        return math.ceil(self.rows / batch_size)

    def batches(self, *, batch_size: int, order: Order, seed: int, epoch: int, start: int) -> Iterator[Rows]:
        """The batches of an epoch, whose size and order were settled when they were dealt."""
        return iter(self.epochs[epoch][start:])


def log_of(case: Case, folder: Path) -> tuple[Path, tuple[int, int, int]]:
    """The file of a case and how its rows are divided; a synthetic one is written to the folder."""
    if "rows" in case:
        rows = case["rows"]
        found = write_synthetic(folder / "log.tsv", SyntheticSpec(rows=rows, scale="1/10000"))
        return found.path, (rows // 2, rows // 4, rows // 4)
    path = os.environ.get("CRITEO_SAMPLE")
    if path is None:
        raise Missing("CRITEO_SAMPLE does not name a log in Criteo's layout, whose licence forbids to bring rows along")
    return Path(path), ROWS


def config_of(
    path: Path, rows: tuple[int, int, int], seed: int, *, batch: int = BATCH, rate: float = RATE, epochs: int = EPOCHS
) -> RunConfig:
    """A run with plain tables and SGD."""
    return RunConfig(
        data=(str(path),), split=SplitConfig(rows=rows), method="full", options={"storage": "float32"}, budget="1x",
        optimizer=OptimizerSpec(name="sgd", lr=rate), seed=seed,
        train=TrainConfig(epochs=epochs, batch_size=batch, dense_lr=rate, dense_optimizer="sgd"),
    )  # fmt: skip


def rows_of(
    dataset: Dataset, part: Part, *, batch: int, order: Order = "time", seed: int = 0, epoch: int = 0
) -> list[Rows]:  # fmt: skip
    """The batches of one epoch. Ids that no training row has are 0, unknown: plain torch has no word for them."""
    known = torch.tensor([table.closed_rows for table in dataset.table_specs(1)])
    return [
        Rows(one.dense, torch.where(one.ids < known, one.ids, 0), one.label)
        for one in dataset.batches((part,), batch_size=batch, order=order, seed=seed, epoch=epoch)
    ]


def deal(config: RunConfig, dataset: Dataset) -> Dealt:
    """The training rows, anew in every epoch, in the order that the run's seed draws."""
    settings = config.train
    epochs = [
        rows_of(dataset, "train", batch=settings.batch_size, order="shuffle", seed=config.seed, epoch=epoch)
        for epoch in range(settings.epochs)
    ]
    return Dealt(epochs=epochs, rows=dataset.parts["train"])


def starting(config: RunConfig, dataset: Dataset) -> Model:
    """Ours as the trainer begins with it."""
    return make_model(config, dataset, build(size_run(config, dataset), seed=config.seed))


def ours(config: RunConfig, dataset: Dataset, dealt: Dealt, precision: Literal["float32", "bfloat16"]) -> float:
    """AUC on the test rows, in float32, as it is served."""
    settings = replace(config.train, precision=precision)
    outcome = Trainer(
        size_run(config, dataset), lambda bank: make_model(config, dataset, bank), dealt, settings, seed=config.seed
    ).run()
    served = outcome.model.with_bank(freeze(outcome.model.bank)).eval()
    found, _ = judge(served, dataset, "test", through="train")
    assert found is not None
    assert found.auc is not None
    return found.auc


def reference(config: RunConfig, dataset: Dataset, dealt: Dealt) -> float:
    """AUC on the test rows of the reference with our starting weights."""
    model = reference_of(starting(config, dataset))
    for batches in dealt.epochs:
        learn(model, config.train.dense_lr, batches)
    return area(model, rows_of(dataset, "test", batch=config.train.evaluation_batch_size))


def learn(model: ReferenceDlrm, rate: float, batches: Sequence[Rows]) -> None:
    """Train the reference for one epoch; plain SGD keeps nothing from one epoch to the next."""
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for batch in batches:
        train_step(model, optimizer, batch)


@torch.no_grad()
def area(model: torch.nn.Module, batches: Sequence[Rows]) -> float:
    """AUC of a model's logits; 0 where they are not finite, as they become where the rate is too high."""
    logits = torch.cat([model(batch.dense, batch.ids) for batch in batches])
    found = auc(torch.cat([batch.label for batch in batches]).numpy(), logits.numpy()) if logits.isfinite().all() else 0
    assert found is not None
    return found


@torch.no_grad()
def check(config: RunConfig, dataset: Dataset) -> float:
    """The largest difference of logits of validation rows before anything is learned; AssertionError above 1e-4.

    Ours gets the rows as they are, with ids that are unknown to it.
    """
    model = starting(config, dataset).eval()
    theirs = reference_of(model)
    raw = next(dataset.batches(("validation",), batch_size=config.train.evaluation_batch_size))
    [mapped, *_] = rows_of(dataset, "validation", batch=config.train.evaluation_batch_size)
    apart = float((model(raw.dense, raw.ids) - theirs(mapped.dense, mapped.ids)).abs().max())
    assert apart <= 1e-4, f"pocketrec and the reference begin with logits that differ by {apart}"
    return apart


def _measure(run: Run) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            path, rows = log_of(run.case, Path(folder))
        except Missing as why:
            run.missing = dict.fromkeys((REFERENCE, OURS, BFLOAT16), str(why))
            return
        config = config_of(path, rows, run.case["seed"])
        dataset = open_data(config, Path(folder) / "cache")
        dealt = deal(config, dataset)
        run.facts["largest difference of logits before the first step"] = check(config, dataset)
        run.found = {
            REFERENCE: reference(config, dataset, dealt),
            OURS: ours(config, dataset, dealt, "float32"),
            BFLOAT16: ours(config, dataset, dealt, "bfloat16"),
        }


def choose() -> int:
    """Print what the reference scores on validation rows by batch, rate and epochs, with a seed of no case."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path, rows = log_of({}, Path(folder))
        for batch, rate in GRID:
            config = config_of(path, rows, CHOOSING_SEED, batch=batch, rate=rate, epochs=MOST_EPOCHS)
            said = " ".join(f"{after:.4f}" for after in _curve(config, Path(folder) / "cache"))
            print(f"batch {batch}, rate {rate}: validation AUC after each epoch {said}", flush=True)
    return 0


def rounding() -> int:
    """Print how far the reference's AUC on validation rows moves when its weights begin one rounding away."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path, rows = log_of({}, Path(folder))
        for rate, seed in ROUNDING:
            config, cache = config_of(path, rows, seed, rate=rate), Path(folder) / "cache"
            apart = _curve(config, cache, moved=True)[-1] - _curve(config, cache)[-1]
            print(f"rate {rate}, seed {seed}: {apart:+.5f}", flush=True)
    return 0


def moved_by_a_rounding(model: ReferenceDlrm) -> None:
    """Make half of the weights, drawn by chance, larger by the least that float32 can tell."""
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            half = torch.randint(0, 2, weight.shape, generator=draw).bool()
            weight.copy_(torch.where(half, weight.nextafter(2 * weight), weight))


def _curve(config: RunConfig, cache: Path, *, moved: bool = False) -> list[float]:
    """The reference's AUC on validation rows after each epoch."""
    dataset = open_data(config, cache)
    model, found = reference_of(starting(config, dataset)), []
    if moved:
        moved_by_a_rounding(model)
    validation = rows_of(dataset, "validation", batch=config.train.evaluation_batch_size)
    for batches in deal(config, dataset).epochs:
        learn(model, config.train.dense_lr, batches)
        found.append(area(model, validation))
    return found


CLAIM = Claim(
    name="auc_against_reference",
    says="AUC on the test rows of a Criteo sample is the reference's: the 95 % interval of the mean of paired "
    "differences lies within .001, of 10 seeds.",
    # bfloat16 takes four times as long as the rest where the processor has no instructions for it; of the first five
    # seeds alone its interval was -.00078 to +.00155, so all ten were run
    cases=[{"seed": seed} for seed in range(11, 21)],
    quick=[{"seed": 1, "rows": 800}],
    measure=_measure,
    bars=[Interval(ours=name, peer=REFERENCE, within=0.001) for name in (OURS, BFLOAT16)],
    stopped="What stops it is chance: runs of one program that differ in a rounding end up to .0006 apart (see the "
    "benchmark's file), so ten seeds tell the mean to .0006. Where an interval reaches above +.001, it is our side "
    "that scores higher.",
    unit="AUC",
    processes=1,
)

if __name__ == "__main__":
    others = {"--choose": choose, "--rounding": rounding}
    asked = others.get(sys.argv[1]) if len(sys.argv) == 2 else None
    sys.exit(measure.main(CLAIM) if asked is None else asked())
