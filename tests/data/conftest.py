"""Small logs that several tests of the data package read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pocketrec.data import text_blocks
from pocketrec.data.synthetic import SyntheticReport, SyntheticSpec, write_synthetic
from pocketrec.spec.schema import DenseTransform, Field, Schema

_ALL_KINDS = Schema(
    fields=(
        Field(name="y", kind="label"),
        Field(name="w", kind="weight"),
        Field(name="t", kind="time"),
        Field(name="d", kind="dense", transform=DenseTransform(log1p=True, standardise=True, missing_flag=True)),
        Field(name="e", kind="dense", transform=DenseTransform(clip=(-2.0, 2.0), fill=0.5)),
        Field(name="c", kind="categorical"),
        Field(name="c2", kind="categorical", table="c"),
        Field(name="h", kind="categorical", ids="hash63"),
        Field(name="p", kind="categorical", ids="plain", rows=6),
    )
)


def _write(path: Path, rows: int, *, seed: int = 0, shuffled_time: bool = False) -> Path:
    """A CSV log with every kind of column, values missing here and there, new tokens towards the end."""
    rng = np.random.default_rng(seed)
    times = rng.permutation(rows) // 3 if shuffled_time else np.arange(rows) // 3
    lines = ["y,w,t,d,e,c,c2,h,p"]
    for i in range(rows):
        d = "" if rng.random() < 0.2 else f"{rng.normal() * 5:.3f}"
        tokens = [f"t{min(int(rng.pareto(1.0)), 20 + i // 10)}" if rng.random() > 0.1 else "" for _ in range(2)]
        lines.append(
            f"{rng.integers(2)},{rng.integers(1, 4) / 2},{times[i]},{d},{rng.normal():.3f},{tokens[0]},{tokens[1]},"
            f"u{rng.integers(30)},{rng.integers(6)}"
        )
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def all_kinds() -> Schema:
    """A schema with every kind of column."""
    return _ALL_KINDS


@pytest.fixture
def write_log() -> Callable[..., Path]:
    """Writes a log of that schema: (path, rows, seed=, shuffled_time=)."""
    return _write


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files come in many blocks."""
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", 1500)


@pytest.fixture(scope="session")
def criteo_log(tmp_path_factory: pytest.TempPathFactory) -> SyntheticReport:
    """3,000 rows in Criteo's format."""
    spec = SyntheticSpec(rows=3000, scale="1/10000", seed=5)
    return write_synthetic(tmp_path_factory.mktemp("synthetic") / "log.tsv.gz", spec)
