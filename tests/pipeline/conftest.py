"""Small logs with every kind of column, and runs over them that several tests look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest

from pocketrec.pipeline import Trained, train
from pocketrec.spec.schema import DenseTransform, Field, Schema
from pocketrec.testing.cases import kept_in

ROWS = 1200
TINY: dict[str, Any] = {
    "dim": 8, "model": {"bottom": [8], "top": [8]}, "train": {"epochs": 2, "batch_size": 128, "patience": None},
}  # fmt: skip

_INPUTS = (
    Field(name="price", kind="dense", transform=DenseTransform(log1p=True, standardise=True, missing_flag=True)),
    Field(name="age", kind="dense", transform=DenseTransform(clip=(-2.0, 2.0), fill=0.5)),
    Field(name="candidate", kind="categorical", table="item"),
    Field(name="last", kind="categorical", table="item"),
    Field(name="site", kind="categorical"),
)
_LABEL = Field(name="click", kind="label")
SCHEMAS = {
    "ranks": Schema(fields=(_LABEL, Field(name="w", kind="weight"), Field(name="hour", kind="time"), *_INPUTS)),
    "mixed": Schema(
        fields=(
            *_INPUTS, _LABEL, Field(name="user", kind="categorical", ids="hash63"),
            Field(name="slot", kind="categorical", ids="plain", rows=6),
        )
    ),
    "no_dense": Schema(fields=(_LABEL, *_INPUTS[2:])),
    "parquet": Schema(format="parquet", fields=(_LABEL, *_INPUTS)),
}  # fmt: skip


def rows_of(count: int, *, seed: int, first: int = 0) -> pa.Table:
    """Raw rows: skewed tokens, values missing here and there, new tokens towards the end, labels that can be learned.

    Args:
        count: rows.
        seed: of the draw.
        first: number of the first row of a longer log; later rows have later tokens.
    """
    rng = np.random.default_rng(seed)

    def tokens(prefix: str) -> pa.Array:
        drawn = [min(int(rng.pareto(0.8)), 30 + (first + i) // 15) for i in range(count)]
        return pa.array([None if rng.random() < 0.08 else f"{prefix}{n}" for n in drawn])

    candidate, site = tokens("i"), tokens("s")
    price = rng.exponential(20.0, count)
    score = np.array([(hash_of(c) + hash_of(s)) for c, s in zip(candidate.to_pylist(), site.to_pylist(), strict=True)])
    return pa.table(
        {
            "click": pa.array((rng.random(count) < 1 / (1 + np.exp(-score))).astype(np.int8)),
            "w": pa.array(rng.integers(1, 4, count) / 2),
            "hour": pa.array((first + np.arange(count)) // 3),
            "price": pa.array(np.round(price, 3), mask=rng.random(count) < 0.15),
            "age": pa.array(np.round(rng.normal(0, 2, count), 3), mask=rng.random(count) < 0.1),
            "candidate": candidate,
            "last": tokens("i"),
            "site": site,
            "user": pa.array([f"u{n}" for n in rng.integers(0, 60, count)]),
            "slot": pa.array(rng.integers(0, 6, count)),
        }
    )


def hash_of(token: str | None) -> float:
    """A fixed effect of a token, about -1.5 to 1.5."""
    return 0.0 if token is None else ((sum(map(ord, token)) * 37) % 31 - 15) / 10


@dataclass(frozen=True)
class Log:
    """A log on disk, with its raw rows and its schema."""

    path: Path
    table: pa.Table
    schema: Schema

    def test_rows(self) -> pa.Table:
        """The raw rows of the test part of the default split."""
        return self.table.slice(self.table.num_rows * 9 // 10)


def write_log(folder: Path, kind: str, table: pa.Table) -> Log:
    """Write a log of one of the kinds of SCHEMAS."""
    schema = SCHEMAS[kind]
    if schema.format == "parquet":
        import pyarrow.parquet as pq

        pq.write_table(table, folder / f"{kind}.parquet")
        return Log(folder / f"{kind}.parquet", table, schema)
    pa_csv.write_csv(table, folder / f"{kind}.csv", pa_csv.WriteOptions(quoting_style="none"))
    return Log(folder / f"{kind}.csv", table, schema)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of encoded data for all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Log]:
    """The same rows as a log of every kind."""
    folder, table = tmp_path_factory.mktemp("logs"), rows_of(ROWS, seed=1)
    return {kind: write_log(folder, kind, table) for kind in SCHEMAS}


@pytest.fixture(scope="session")
def next_day(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """The rows after those of ``logs["ranks"]``, with tokens that were never seen."""
    return write_log(tmp_path_factory.mktemp("next"), "ranks", rows_of(600, seed=2, first=ROWS))


@pytest.fixture(scope="session")
def fit(cache: Path) -> Callable[..., Trained]:
    """``fit(log, **settings)``: a small run, with the settings that are given over the tiny ones."""

    def run(log: Log, **settings: Any) -> Trained:
        tiny = {} if "start" in settings else {**TINY, "schema": log.schema}
        return train(log.path, cache=cache, **{**tiny, **settings})

    return run


@dataclass(frozen=True)
class Run:
    """A finished run and its folder."""

    out: Path
    trained: Trained


@pytest.fixture(scope="session")
def runs(
    fit: Callable[..., Trained], logs: dict[str, Log], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Run]:
    """``runs(method, storage, kind)``: a run that is made once; tests must not write into its folder."""
    made: dict[tuple[str, str, str], Run] = {}

    def get(method: str, storage: str = "float32", kind: str = "ranks") -> Run:
        key = (method, storage, kind)
        if key not in made:
            out = tmp_path_factory.mktemp("runs") / "-".join(key)
            options = {"storage": kept_in(method, storage)}
            settings = {"method": method, "budget": budget_of(method, kind), "options": options}
            made[key] = Run(out, fit(logs[kind], out=out, **settings))
        return made[key]

    return get


def budget_of(method: str, kind: str = "ranks") -> str:
    """A budget that compresses, where the method can; absolute where a table is open."""
    if kind == "mixed":
        return "3KB"
    # a network of dhe is larger than these tables; random_projection is computed, too, and fits
    return {
        "full": "1x",
        "dhe": "1x",
        "autodim": "2x",
        "mde": "2x",
        "narrow": "2x",
        "optembed": "2x",
        "quotient_remainder": "2x",
    }.get(method, "4x")
