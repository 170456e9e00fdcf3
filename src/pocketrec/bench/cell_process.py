"""What the process of one cell does; `pocketrec.bench.cell_server` makes it.

Its folder holds ``job.json`` (see :class:`pocketrec.bench.jobs.Job`); the process leaves ``outcome.json`` there: a line
of result, a refusal, or why it failed.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from pocketrec.bench.hparams import add_hparams
from pocketrec.bench.places import check_md5, make_synthetic
from pocketrec.data.journal import write_durably
from pocketrec.pipeline.config import RunConfig
from pocketrec.pipeline.data import open_data
from pocketrec.pipeline.train import run
from pocketrec.spec.errors import BudgetTooSmall, PocketrecError
from pocketrec.spec.metrics import Progressive
from pocketrec.train.config import TrainConfig
from pocketrec.train.optim import dense_optimizer
from pocketrec.train.watch import TensorBoard

__all__ = ["do", "main", "warm_up"]

_POINTS: Final = 20


def warm_up() -> None:
    """Import what training imports late, before cells are forked: torch's first optimizer brings its compiler (2 s)."""
    dense_optimizer([torch.nn.Parameter(torch.zeros(1))], TrainConfig())


def main(folder: Path) -> None:
    """Do the job of the folder and leave its outcome; what went wrong is an outcome too."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    try:
        outcome = do(job)
    except BudgetTooSmall as refused:
        outcome = {"refused": str(refused), "budget_bytes": refused.budget_bytes}
    except PocketrecError as wrong:
        outcome = {"failed": str(wrong)}
    except MemoryError as wrong:
        outcome = {"failed": f"out of memory{f': {wrong}' if str(wrong) else ''}"}
    write_durably(folder / "outcome.json", json.dumps(outcome).encode())


def do(job: dict[str, Any]) -> dict[str, Any]:
    """The outcome of a job that goes well: ``{}`` of preparing data, else the line under ``line``."""
    config, cache = RunConfig.from_json(job["config"]), Path(job["cache"])
    if job["prepare"]:
        if job["synthetic"] is not None:
            make_synthetic(job["synthetic"], cache)
        check_md5(list(config.data), job["md5"], cache)
        open_data(config, cache)
        return {}
    board = None if job["tensorboard"] is None else Path(job["tensorboard"])
    watcher = None if board is None else TensorBoard(board)
    trained = run(config, out=None, cache=cache, watcher=watcher, identity=job["identity"], test=job["test"])
    result = trained.result
    with tempfile.TemporaryDirectory(prefix="pocketrec-cell-") as folder:
        artifact = trained.recommender.save(Path(folder) / "model")
        result = replace(
            result, file_bytes=artifact.tensor_bytes("tables"), progressive=_short(result.progressive),
            cpu_seconds=time.process_time(),
        )  # fmt: skip
    if board is not None:
        add_hparams(board, config, result)
    return {"line": result.to_json_line()}


def _short(progressive: Progressive | None) -> Progressive | None:
    """The same with a curve of 20 points and five digits, which is only drawn and would be most of a study's file."""
    if progressive is None:
        return None
    ends = [rows for rows, _ in progressive.curve]
    rows = np.diff(ends, prepend=0)
    starts = np.arange(0, len(ends), max(1, math.ceil(len(ends) / _POINTS)))

    def means(values: Iterable[float]) -> list[float]:
        found = np.add.reduceat(rows * np.array(list(values)), starts) / np.add.reduceat(rows, starts)
        return [float(f"{mean:.5g}") for mean in found]

    if not ends:
        return progressive
    last = [ends[k - 1] for k in (*starts[1:], len(ends))]
    curve = tuple(zip(last, means(loss for _, loss in progressive.curve), strict=True))
    return replace(progressive, curve=curve, rates=tuple(means(progressive.rates)))
