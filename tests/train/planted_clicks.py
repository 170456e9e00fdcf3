"""A click log with a planted law, small enough for the trainer's tests, and a program that trains on it.

As a program it is what the tests of signals start: ``python planted_clicks.py FOLDER OUT``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pocketrec.compress import Bank, of
from pocketrec.models import MODELS, Model, ModelConfig
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import TableSpec
from pocketrec.train import Outcome, TrainConfig, Trainer
from pocketrec.train.state import parts_of, save

ROWS = (40, 7, 12)
DENSE = 2
SMALL_BUDGET = 8 + 30 * 16  # rows for half of all ids, and a seed


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """A batch, or all rows of a part."""

    dense: Tensor
    ids: Tensor
    label: Tensor
    weight: Tensor | None = None
    offsets: Tensor | None = None
    value_weights: Tensor | None = None
    user: Tensor | None = None

    def pick(self, places: Tensor) -> Rows:
        weight = None if self.weight is None else self.weight[places]
        user = None if self.user is None else self.user[places]
        return Rows(dense=self.dense[places], ids=self.ids[places], label=self.label[places], weight=weight, user=user)


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """Rows as batches; every call for batches is noted in `asked`."""

    rows: Rows
    asked: list[dict[str, Any]] = field(default_factory=list)

    def batch_count(self, batch_size: int) -> int:
        return -(-len(self.rows.label) // batch_size)

    def batches(self, *, batch_size: int, order: str, seed: int, epoch: int, start: int) -> Iterator[Rows]:
        self.asked.append({"order": order, "seed": seed, "epoch": epoch, "start": start, "batch_size": batch_size})
        count = len(self.rows.label)
        places = torch.arange(count)
        if order == "shuffle":
            places = torch.randperm(count, generator=torch.Generator().manual_seed(1000 * seed + epoch))
        for number in range(start, self.batch_count(batch_size)):
            yield self.rows.pick(places[number * batch_size : (number + 1) * batch_size])


@dataclass(frozen=True, kw_only=True, eq=False)
class Data:
    """Training and validation rows; None for a part that there is not."""

    train: Source | None
    validation: Source | None
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def source(self, part: str, id_spaces: Sequence[str]) -> Source | None:
        self.asked.append((part, tuple(id_spaces)))
        return self.train if part == "train" else self.validation


def clicks(count: int, *, seed: int, rows: Sequence[int] = ROWS, weights: bool = False) -> Rows:
    """Rows whose log-odds are a sum over ids and dense numbers: the law is the same for every seed."""
    law, draw = torch.Generator().manual_seed(99), torch.Generator().manual_seed(seed)
    effects = [torch.randn(n, generator=law) for n in rows]
    ids = torch.stack([torch.randint(n, (count,), generator=draw) for n in rows], dim=1)
    dense = torch.randn(count, DENSE, generator=draw)
    logit = sum((e[i] for e, i in zip(effects, ids.T, strict=True)), dense[:, 0]) * 1.5
    label = (torch.rand(count, generator=draw) < torch.sigmoid(logit)).float()
    weight = torch.rand(count, generator=draw) + 0.5 if weights else None
    return Rows(dense=dense, ids=ids, label=label, weight=weight)


def data(train: int = 600, validation: int = 300, *, weights: bool = False, rows: Sequence[int] = ROWS) -> Data:
    """Both parts; a part of 0 rows is None."""
    parts = [
        Source(rows=clicks(n, seed=s, weights=weights, rows=rows)) if n else None
        for s, n in enumerate((train, validation))
    ]
    return Data(train=parts[0], validation=parts[1])


def sizing(
    method: str = "full", *, optimizer: OptimizerSpec | None = None, budget: int | None = None,
    rows: Sequence[int] = ROWS, **options: Any,
) -> Sizing:  # fmt: skip
    """Small tables under a method, in this many bytes or at its floor."""
    tables = [TableSpec(name=f"t{i}", rows=n, dim=4, ids="rank") for i, n in enumerate(rows)]
    chosen = of(method, options)
    budget_bytes = max(sum(rows) * 16 if budget is None else budget, chosen.least_bytes(tables))
    return chosen.size(tables, budget_bytes, optimizer=optimizer or OptimizerSpec(lr=0.1))


def make_model(bank: Bank) -> Model:
    """A small DLRM."""
    config = ModelConfig(bottom=(6,), top=(8,))
    return MODELS.get("dlrm")(bank, dense_features=DENSE, config=config, seed=7)


def config(**changes: Any) -> TrainConfig:
    """Settings under which the planted law is learned quickly."""
    return TrainConfig(**{"epochs": 3, "batch_size": 50, "dense_lr": 0.01, "evaluation_batch_size": 128, **changes})


def trainer(sized: Sizing | None = None, given: Data | None = None, **arguments: Any) -> Trainer:
    """A trainer of the planted problem; `config` may be a mapping of changes."""
    chosen = arguments.pop("config", {})
    return Trainer(
        sized or sizing(), arguments.pop("make_model", make_model), given or data(),
        config(**chosen) if isinstance(chosen, Mapping) else chosen, **{"seed": 3, **arguments},
    )  # fmt: skip


def tensors(outcome: Outcome) -> dict[str, Tensor]:
    """All tensors of an outcome by name, copied."""
    parts = parts_of(outcome.model, outcome.optimizer)
    return {f"{part}.{name}": t.clone() for part, found in parts.items() for name, t in found.items()}


def without_times(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What must be equal between two runs."""
    return [{k: v for k, v in entry.items() if k not in ("seconds", "rows_per_s")} for entry in history]


@dataclass(kw_only=True)
class Watch:
    """Notes all that a trainer tells, and calls `on_step` with the number of each step."""

    on_step: Callable[[int], object] = lambda step: None
    begun: list[dict[str, Any]] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    scored_aucs: list[tuple[float, float]] = field(default_factory=list)
    ended: int = 0

    def begin(self, **stage: Any) -> None:
        self.begun.append(stage)

    def step(self, *, step: int, batch: int, loss: float) -> None:
        self.steps.append(step)
        self.losses.append(loss)
        self.on_step(step)

    def begin_scoring(self, **stage: Any) -> None:
        self.begun.append(stage)

    def scored(self, *, step: int, auc: float, best: float) -> None:
        self.steps.append(step)
        self.scored_aucs.append((auc, best))
        self.on_step(step)

    def epoch(self, entry: dict[str, Any]) -> None:
        self.epochs.append(entry)

    def end(self) -> None:
        self.ended += 1


def main(folder: str, out: str) -> None:
    """Train slowly, tell the parent of every step, and leave the end as a checkpoint in `out`."""

    def tell(step: int) -> None:
        print(step, flush=True)  # noqa: T201 - the parent reads it
        time.sleep(0.02)

    made = trainer(folder=Path(folder), watcher=Watch(on_step=tell), config=PROGRAM)
    outcome = made.run()
    save(Path(out), made.state, outcome.model, outcome.optimizer, run={})


PROGRAM = {"epochs": 2, "checkpoint_steps": 7}

if __name__ == "__main__":
    main(*sys.argv[1:])
