"""Write synthetic logs in Criteo's format whose best possible AUC is known. They hold nobody's data."""

from __future__ import annotations

import gzip
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from pocketrec.data.planted import DENSE_FIELDS, PlantedLaw, PlantedRows
from pocketrec.metrics.evaluate import StreamingMetrics
from pocketrec.spec.cardinalities import scaled_cardinalities
from pocketrec.spec.errors import OptionError
from pocketrec.spec.schema import Schema, criteo
from pocketrec.spec.writing import writing

__all__ = ["SyntheticReport", "SyntheticSpec", "write_synthetic"]

_CHUNK_ROWS = 32_768


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticSpec:
    """What to write.

    Attributes:
        rows: of the whole log, 1 or more.
        cardinalities: a name in `pocketrec.spec.cardinalities`; tells how many categorical fields there are.
        scale: factor on them, a fraction or a text such as "1/100".
        seed: another seed, another law.
        zipf: exponent of the frequencies of tokens.
        clusters: hidden clusters on each side, 1 or more.
        cluster_strength: chance that a token comes from its row's cluster, 0..1.
        spread: standard deviation of the true log-odds; 1.35 makes the oracle's AUC about .80.
        base_rate: share of clicks, between 0 and 1.
        missing: factor on the shares of missing values of the Criteo Kaggle log, 0..1.
        drift: how far the law turns from the first to the last row: 0 not at all, 1 to an unrelated law.
        days: above 1, the log is a folder of files day_0, day_1, ... of equal size.
    """

    rows: int
    cardinalities: str = "kaggle"
    scale: Fraction | str | int = Fraction(1, 100)
    seed: int = 0
    zipf: float = 1.1
    clusters: int = 16
    cluster_strength: float = 0.8
    spread: float = 1.35
    base_rate: float = 0.2568
    missing: float = 1.0
    drift: float = 0.0
    days: int = 1

    def __post_init__(self) -> None:
        for name in ("rows", "clusters", "days"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} must be 1 or more, got {getattr(self, name)}.")
        for name in ("cluster_strength", "missing"):
            if not 0 <= getattr(self, name) <= 1:
                raise OptionError(f"{name} must lie in 0..1, got {getattr(self, name)}.")
        for name in ("zipf", "spread"):
            if not getattr(self, name) > 0:
                raise OptionError(f"{name} must be above 0, got {getattr(self, name)}.")
        if not 0 < self.base_rate < 1 or self.seed < 0 or self.drift < 0:
            raise OptionError(
                f"base_rate must lie between 0 and 1, seed and drift must be 0 or more, "
                f"got {self.base_rate}, {self.seed}, {self.drift}."
            )

    @property
    def schema(self) -> Schema:
        """What reads the log."""
        return criteo(dense=DENSE_FIELDS, categorical=len(self.sizes))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Tokens per categorical field, at most."""
        return scaled_cardinalities(self.cardinalities, self.scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticReport:
    """What was written.

    Attributes:
        path: file or folder.
        rows: of the log.
        positives: rows with label 1.
        oracle_auc: AUC of the true log-odds on these labels: no model can be expected to do better. None where all
            labels are equal.
        oracle_logloss: their log-loss in nats.
        schema: what reads the log.
    """

    path: Path
    rows: int
    positives: int
    oracle_auc: float | None
    oracle_logloss: float
    schema: Schema

    def __str__(self) -> str:
        auc = "-" if self.oracle_auc is None else f"{self.oracle_auc:.4f}"
        return (
            f"{self.path}: {self.rows:,} rows, {self.positives / self.rows:.2%} positive; "
            f"oracle AUC {auc}, log-loss {self.oracle_logloss:.4f}"
        )


def write_synthetic(path: str | Path, spec: SyntheticSpec) -> SyntheticReport:
    """Write a log; the same spec always writes the same bytes.

    Args:
        path: file to write, gzipped when it ends in .gz; with several days a folder, of .gz files when it ends in .gz.
        spec: what to write.
    """
    law = PlantedLaw(
        cardinalities=spec.sizes,
        seed=spec.seed,
        zipf=spec.zipf,
        clusters=spec.clusters,
        cluster_strength=spec.cluster_strength,
        missing=spec.missing,
        drift=spec.drift,
    )
    calibration = law.calibrated(spec.spread, spec.base_rate)
    metrics = StreamingMetrics()
    for day, file in enumerate(_files(Path(path), spec.days)):
        first, last = spec.rows * day // spec.days, spec.rows * (day + 1) // spec.days
        with ExitStack() as stack:
            out = _opened(file, stack)
            for start in range(first, last, _CHUNK_ROWS):
                rows = law.rows(start, min(last, start + _CHUNK_ROWS), spec.rows, calibration)
                _write(rows, out)
                metrics.update(rows.label.astype(np.float32), rows.logit)
    got = metrics.result()
    return SyntheticReport(
        path=Path(path),
        rows=spec.rows,
        positives=got.positives,
        oracle_auc=got.auc,
        oracle_logloss=got.logloss,
        schema=spec.schema,
    )


def _files(path: Path, days: int) -> list[Path]:
    with writing(path):
        (path.parent if days == 1 else path).mkdir(parents=True, exist_ok=True)
    if days == 1:
        return [path]
    return [path / f"day_{day}{'.gz' if path.suffix == '.gz' else ''}" for day in range(days)]


def _opened(file: Path, stack: ExitStack) -> IO[bytes]:
    with writing(file):
        raw = stack.enter_context(file.open("wb"))
    if file.suffix != ".gz":
        return raw
    # Without name and time, so that the same log is the same bytes.
    packed = gzip.GzipFile(filename="", mode="wb", compresslevel=4, fileobj=raw, mtime=0)
    return cast("IO[bytes]", stack.enter_context(packed))


def _write(rows: PlantedRows, out: IO[bytes]) -> None:
    columns: dict[str, Any] = {"label": pa.array(rows.label.astype(np.int8))}
    for i in range(rows.dense.shape[1]):
        columns[f"I{i + 1}"] = pa.array(rows.dense[:, i], mask=rows.dense_missing[:, i])
    for j in range(rows.tokens.shape[1]):
        columns[f"C{j + 1}"] = _hexadecimal(rows.tokens[:, j], rows.token_missing[:, j])
    options = pa_csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    pa_csv.write_csv(pa.table(columns), out, options)


_DIGITS = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


def _hexadecimal(numbers: np.ndarray, missing: np.ndarray) -> pa.StringArray:
    """Eight lower-case digits each, null where missing."""
    nibbles = numbers[:, None] >> np.arange(28, -1, -4, dtype=np.uint32) & np.uint32(15)
    offsets = pa.py_buffer(np.arange(0, 8 * len(numbers) + 1, 8, dtype=np.int32))
    text = pa.StringArray.from_buffers(len(numbers), offsets, pa.py_buffer(_DIGITS[nibbles].tobytes()))
    return pc.if_else(pa.array(missing), pa.scalar(None, pa.string()), text)
