"""Write synthetic logs in Criteo's format whose best possible AUC is known. They hold nobody's data."""

from __future__ import annotations

import gzip
from contextlib import ExitStack
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, Final, Literal, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from pocketrec.data.independent import IndependentLaw
from pocketrec.data.planted import DENSE_FIELDS, PlantedLaw, PlantedRows
from pocketrec.metrics.evaluate import StreamingMetrics
from pocketrec.spec.cardinalities import scaled_cardinalities
from pocketrec.spec.errors import OptionError, UnknownName
from pocketrec.spec.schema import Schema, criteo
from pocketrec.spec.writing import writing

__all__ = ["PRESETS", "Law", "SyntheticReport", "SyntheticSpec", "write_synthetic"]

Law = Literal["clusters", "independent"]

_CHUNK_ROWS = 32_768
_OF_LAW: Final = {"clusters": ("clusters", "cluster_strength", "missing", "drift", "own"),
                  "independent": ("shift", "phases")}  # fmt: skip
_INDEPENDENT: Final[dict[str, Any]] = {
    "rows": 2_300_000, "law": "independent", "cardinalities": (300_000, 200_000, 100_000, 30_000, 5_000, 500, 50, 10),
    "spread": 2.02, "base_rate": 0.28,
}  # fmt: skip

PRESETS: Final[dict[str, dict[str, Any]]] = {
    "criteo": {"rows": 200_000},
    "alike": {
        "rows": 360_000, "clusters": 16, "cluster_strength": 0.75, "own": 0.25, "missing": 0.0,
        "cardinalities": (60_000, 50_000, 30_000, 20_000, 15_000, 10_000, 5_000, 2_000, 1_000, 200, 60, 20),
    },
    "independent": _INDEPENDENT,
    "drifting": {**_INDEPENDENT, "shift": 0.02, "phases": 6},
}  # fmt: skip
"""Logs that questions are put to, by name; see :meth:`SyntheticSpec.preset`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticSpec:
    """What to write.

    Attributes:
        rows: of the whole log, 1 or more.
        law: ``clusters``, see `pocketrec.data.planted`, or ``independent``, see `pocketrec.data.independent`.
        cardinalities: a name in `pocketrec.spec.cardinalities`, or the tokens of each categorical field themselves.
        scale: factor on them, a fraction or a text such as "1/100"; None: 1/100 of a named set, 1 of what is given.
        seed: another seed, another law.
        zipf: exponent of the frequencies of tokens.
        clusters: hidden clusters on each side, 1 or more.
        cluster_strength: chance that a token comes from its row's cluster, 0..1.
        spread: standard deviation of the true log-odds; 1.35 makes the oracle's AUC about .80.
        base_rate: share of clicks, between 0 and 1.
        missing: factor on the shares of missing values of the Criteo Kaggle log, 0..1.
        drift: how far the law turns from the first to the last row: 0 not at all, 1 to an unrelated law.
        own: factor on what tokens have of their own in their effects, next to what all of their cluster have.
        shift: of the independent law: share of a field by which popularity moves on from phase to phase, 0..1.
        phases: equal parts of the log; test rows are of the last one if they are its last rows and no more than it.
        days: above 1, the log is a folder of files day_0, day_1, ... of equal size.
    """

    rows: int
    law: Law = "clusters"
    cardinalities: str | tuple[int, ...] = "kaggle"
    scale: Fraction | str | int | None = None
    seed: int = 0
    zipf: float = 1.1
    clusters: int = 16
    cluster_strength: float = 0.8
    spread: float = 1.35
    base_rate: float = 0.2568
    missing: float = 1.0
    drift: float = 0.0
    own: float = 1.0
    shift: float = 0.0
    phases: int = 6
    days: int = 1

    def __post_init__(self) -> None:
        for name in ("rows", "clusters", "days", "phases"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} must be 1 or more, got {getattr(self, name)}.")
        for name in ("cluster_strength", "missing", "shift"):
            if not 0 <= getattr(self, name) <= 1:
                raise OptionError(f"{name} must lie in 0..1, got {getattr(self, name)}.")
        for name in ("zipf", "spread"):
            if not getattr(self, name) > 0:
                raise OptionError(f"{name} must be above 0, got {getattr(self, name)}.")
        if not 0 < self.base_rate < 1 or self.seed < 0 or self.drift < 0 or self.own < 0:
            raise OptionError(
                f"base_rate must lie between 0 and 1, seed, drift and own must be 0 or more, "
                f"got {self.base_rate}, {self.seed}, {self.drift}, {self.own}."
            )
        if self.law not in _OF_LAW:
            raise UnknownName("law", self.law, _OF_LAW)
        usual = {f.name: f.default for f in fields(self)}
        for law, names in _OF_LAW.items():
            other = [name for name in names if law != self.law and getattr(self, name) != usual[name]]
            if other:
                raise OptionError(f"{', '.join(other)} belongs to the law {law}, not to {self.law}.")

    @staticmethod
    def preset(name: str, **others: Any) -> SyntheticSpec:
        """A log by its name, with other settings than its own where they are given.

        * ``criteo``: Criteo's fields at 1/100, 200,000 rows.
        * ``alike``: 12 fields of 193,280 tokens, 300,000 rows to learn from and 60,000 to test. Three tokens in four
          come from their row's cluster, one of 16 on each side, and tokens of one cluster do nearly the same to a
          click: who lets alike tokens share memory must win.
        * ``independent``: 8 fields of 635,560 tokens, 2,000,000 rows and 300,000 to test; no two tokens are alike.
        * ``drifting``: the same, and popularity moves on by 2 % of a field in each of six phases.
        """
        if name not in PRESETS:
            raise UnknownName("preset", name, PRESETS)
        return SyntheticSpec(**{**PRESETS[name], **others})

    @property
    def schema(self) -> Schema:
        """What reads the log."""
        return criteo(dense=DENSE_FIELDS if self.law == "clusters" else 0, categorical=len(self.sizes))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Tokens per categorical field, at most."""
        named = isinstance(self.cardinalities, str)
        scale = (Fraction(1, 100) if named else 1) if self.scale is None else self.scale
        return scaled_cardinalities(self.cardinalities, scale)

    def made(self) -> PlantedLaw | IndependentLaw:
        """The law that rows are drawn from."""
        if self.law == "independent":
            return IndependentLaw(
                cardinalities=self.sizes, seed=self.seed, zipf=self.zipf, shift=self.shift, phases=self.phases
            )
        return PlantedLaw(
            cardinalities=self.sizes, seed=self.seed, zipf=self.zipf, clusters=self.clusters,
            cluster_strength=self.cluster_strength, missing=self.missing, drift=self.drift, own=self.own,
        )  # fmt: skip


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
    law = spec.made()
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
