"""Made-up runs for reports, and a tiny study on planted rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pocketrec.spec.metrics import GroupMetrics, Metrics
from pocketrec.spec.result import Result

RunMaker = Callable[..., Result]


def make_run(**changes: Any) -> Result:
    """A run that kept its word; `auc` sets the metrics on test rows."""
    auc = changes.pop("auc", 0.75)
    budget_bytes = changes.pop("budget_bytes", 20236)
    plain: dict[str, Any] = {
        "commit": "3f1c2ab",
        "data": "sample",
        "model": "dlrm",
        "method": "robe",
        "budget": "16x",
        "budget_bytes": budget_bytes,
        "promised_bytes": budget_bytes - 4,
        "held_bytes": budget_bytes - 4,
        "file_bytes": budget_bytes - 4,
        "train_bytes": 2 * budget_bytes,
        "vocabulary_bytes": 1200,
        "dense_bytes": 43_110,
        "table_bytes": {"item": budget_bytes - 104, "user": 100},
        "seed": 0,
        "epochs": 2,
        "validation": None if auc is None else make_metrics(auc - 0.01),
        "test": None if auc is None else make_metrics(auc),
        "by_frequency": {}
        if auc is None
        else {
            "head": GroupMetrics(rows=30, positives=9, auc=auc + 0.01),
            "unseen": GroupMetrics(rows=70, positives=9, auc=None),
        },
        "curve": tuple({"epoch": e, "validation_auc": None if auc is None else auc - 0.02 / e} for e in (1, 2, 3)),
        "rows_per_s": 61_000.0,
        "seconds": 41.5,
        "peak_rss_bytes": 812_000_000,
    }
    return Result(**(plain | changes))


def make_metrics(auc: float | None) -> Metrics:
    return Metrics(
        rows=100,
        positives=20,
        auc=auc,
        logloss=0.5,
        normalised_entropy=0.95,
        calibration=1.01,
        extra={"calibration_error": 0.0123},
    )


@pytest.fixture(name="make_run")
def make_run_fixture() -> RunMaker:
    return make_run


@pytest.fixture
def study() -> list[Result]:
    """Two methods at two budgets, full tables at a budget of their own, three seeds, one method skipped."""
    runs = [
        make_run(method=method, storage=storage, budget=budget, budget_bytes=allowed, seed=seed, auc=auc + seed / 1000)
        for seed in (2, 0, 1)
        for method, storage, budget, allowed, auc in (
            ("full", "float32", "1x", 400_000, 0.756),
            ("min_count", "float32", "10x", 40_000, 0.758),
            ("min_count", "float32", "100x", 4_000, 0.753),
            ("min_count", "int8", "10x", 40_000, 0.757),
            ("robe", "float32", "10x", 40_000, 0.755),
            ("robe", "float32", "100x", 4_000, 0.748),
        )
    ]
    floor = "quotient_remainder needs at least 9,000 serve bytes for these tables, the budget is 4,000."
    skipped = [
        make_run(method="quotient_remainder", budget="100x", budget_bytes=4_000, seed=s, auc=None, skipped=floor)
        for s in (1, 0)
    ]
    return runs + skipped


STUDY = """
seeds = [0, 1]
budgets = ["4x"]
methods = ["min_count", "hash_rows"]
[base]
dim = 4
model = { bottom = [4], top = [4] }
train = { epochs = 1, batch_size = 64, matmul = "torch" }
[[data]]
name = "made"
synthetic = { preset = "criteo", rows = 600, cardinalities = [50, 30, 10] }
"""


@pytest.fixture
def planted(tmp_path: Path) -> Callable[..., Path]:
    """``planted(**changes)``: the file of a study of four cells on planted rows, with parts of it replaced."""

    def write(add: str = "", name: str = "s.toml", **changes: str) -> Path:
        text = STUDY
        for key, value in changes.items():
            old = next(line for line in text.splitlines() if line.startswith(f"{key} ="))
            text = text.replace(old, f"{key} = {value}")
        (tmp_path / name).write_text(text + add, encoding="utf-8")
        return tmp_path / name

    return write


@pytest.fixture(scope="session")
def study_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of encoded data for all studies."""
    return tmp_path_factory.mktemp("cache")
