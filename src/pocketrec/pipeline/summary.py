"""The line of result that a run leaves."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pocketrec.compress import of, stages
from pocketrec.metrics import GroupMetrics, Metrics
from pocketrec.metrics.early_warnings import early_warnings
from pocketrec.models import Model
from pocketrec.pipeline.config import RunConfig
from pocketrec.spec.result import Result
from pocketrec.spec.sizing import Sizing
from pocketrec.train import Outcome

__all__ = ["peak_rss_bytes", "result_of", "table_bytes"]


def result_of(
    config: RunConfig, outcome: Outcome, promised: Sizing, served: Model, *,
    test: tuple[Metrics | None, Mapping[str, GroupMetrics]], file_bytes: int | None, identity: Mapping[str, Any],
    ms_per_batch: float | None = None, ns_per_lookup: float | None = None,
) -> Result:  # fmt: skip
    """Everything about a run but what its caller knows.

    Args:
        config: what was asked for.
        outcome: what training ended with.
        promised: the sizing that was decided before.
        served: the model over its frozen bank.
        test: metrics on the test rows, and by frequency of their ids.
        file_bytes: of the tables in the artifact, None without one.
        identity: fields that only the caller knows (commit, command, data, seconds).
        ms_per_batch: of training, see :mod:`pocketrec.train.step_clock`.
        ns_per_lookup: of the frozen bank, see :mod:`pocketrec.pipeline.lookup_speed`.
    """
    known = {"commit": f"version {version('pocketrec')}", "data": ", ".join(config.data), **identity}
    metrics, groups = test
    exact = outcome.model.bank.sizing  # less than was promised, if a method settled on less
    method = of(config.method, config.options)
    result = Result(
        **known, model=config.model.name, method=method.name, budget=str(config.budget),
        budget_bytes=promised.budget_bytes, seed=config.seed,
        options={k: v for k, v in config.options.items() if k != "storage"},
        storage=method.storage, serving_precision=config.serving_precision,
        promised_bytes=exact.serve_bytes,
        held_bytes=served.bank.held_bytes(), file_bytes=file_bytes,
        train_bytes=max(sizing.train_bytes for _, sizing in stages(promised)),
        vocabulary_bytes=promised.vocabulary_bytes, dense_bytes=served.dense_bytes(), table_bytes=table_bytes(exact),
        epochs=outcome.best_epoch, validation=outcome.validation, test=metrics, by_frequency=dict(groups),
        curve=_curve(outcome.history), rows_per_s=_rows_per_s(outcome.history),
        ms_per_batch=ms_per_batch, ns_per_lookup=ns_per_lookup, peak_rss_bytes=peak_rss_bytes(),
        notes=(*promised.notes, *outcome.notes), progressive=outcome.progressive,
    )  # fmt: skip
    return replace(result, warnings=tuple(warning.text for warning in early_warnings(result)))


def peak_rss_bytes() -> int:
    """The most resident memory that this process had.

    Linux says it of the memory since the process began its program; what the system's resource usage says, which is
    what is left elsewhere, is at least the peak of the process that started this one.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) * 1024


def table_bytes(sizing: Sizing) -> dict[str, int]:
    """Promised bytes by table where tables have rows of their own, else by the name of what they share.

    Rows in several groups are added up: hot ones, and those of the cold method. Sums to ``sizing.serve_bytes``.
    """
    found: dict[str, int] = {}
    for group in sizing.groups:
        rows = [int(t.settings.get("rows", 0)) for t in group.tables]
        stacked = next((s for s in group.serve if sum(rows) and s.shape[:1] == (sum(rows),)), None)
        rest = group.serve_bytes
        if stacked is not None:
            row_bytes = stacked.nbytes // stacked.shape[0]
            for table, count in zip(group.tables, rows, strict=True):
                if count:  # a table that another group holds has none here
                    found[table.table.name] = found.get(table.table.name, 0) + count * row_bytes
            rest -= stacked.nbytes
        if rest:
            shared = f"{group.method} (shared)"
            found[shared] = found.get(shared, 0) + rest
    return found


def _curve(history: list[dict[str, Any]]) -> tuple[dict[str, int | float | None], ...]:
    trained = _epochs(history)
    stages = list(dict.fromkeys(h["stage"] for h in trained))
    return tuple(
        {
            "epoch": number, "train_loss": h["train_loss"], "validation_auc": h.get("auc"),
            "validation_logloss": h.get("logloss"), "validation_auc_standard_error": h.get("auc_standard_error"),
            **({"validation_gauc": h["gauc"]} if "gauc" in h else {}),
            **({"stage": stages.index(h["stage"]) + 1} if len(stages) > 1 else {}),
        }
        for number, h in enumerate(trained, start=1)
    )  # fmt: skip


def _rows_per_s(history: list[dict[str, Any]]) -> float:
    """All rows over all seconds: epochs that were slow count for as long as they took."""
    trained = _epochs(history)
    seconds = sum(h["seconds"] for h in trained)
    return float(sum(h["rows_per_s"] * h["seconds"] for h in trained) / seconds) if seconds else 0.0


def _epochs(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries of epochs, without those of stages in which candidates were scored and nothing trained."""
    return [h for h in history if "candidates" not in h]
