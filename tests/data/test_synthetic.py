from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from pocketrec.data.bad_rows import BadRows
from pocketrec.data.independent import IndependentLaw
from pocketrec.data.planted import PlantedLaw
from pocketrec.data.scan import scan
from pocketrec.data.synthetic import PRESETS, SyntheticReport, SyntheticSpec, write_synthetic
from pocketrec.metrics.evaluate import evaluate
from pocketrec.spec.errors import OptionError, UnknownName
from pocketrec.spec.schema import criteo

SPEC = SyntheticSpec(rows=500, scale="1/100000", seed=1)


def test_a_log_is_in_the_layout_of_criteo(criteo_log: SyntheticReport) -> None:
    lines = gzip.decompress(criteo_log.path.read_bytes()).decode().splitlines()
    assert len(lines) == criteo_log.rows == 3000
    cells = [line.split("\t") for line in lines]
    assert {len(row) for row in cells} == {40}
    assert {row[0] for row in cells} == {"0", "1"}
    assert sum(row[0] == "1" for row in cells) == criteo_log.positives
    assert {len(cell) for row in cells for cell in row[14:]} == {0, 8}
    assert criteo_log.schema == criteo()
    assert sum(columns.n for columns in scan(criteo_log.path, criteo(), BadRows("fail"))) == 3000


def test_the_same_spec_is_the_same_bytes(tmp_path: Path) -> None:
    one, two = (write_synthetic(tmp_path / name, SPEC) for name in ("a.tsv.gz", "b.tsv.gz"))
    assert one.path.read_bytes() == two.path.read_bytes()
    plain = write_synthetic(tmp_path / "c.tsv", SPEC)
    assert gzip.decompress(one.path.read_bytes()) == plain.path.read_bytes()


def test_the_oracle_is_what_the_true_odds_reach(tmp_path: Path) -> None:
    report = write_synthetic(tmp_path / "a.tsv", SPEC)
    law = PlantedLaw(
        cardinalities=SPEC.sizes, seed=1, zipf=1.1, clusters=16, cluster_strength=0.8, missing=1.0, drift=0.0
    )
    rows = law.rows(0, 500, 500, law.calibrated(1.35, 0.2568))
    assert report.oracle_auc == evaluate(rows.label.astype(np.float32), rows.logit).auc
    assert "oracle AUC 0." in str(report)


def test_the_default_oracle_is_about_080() -> None:
    law = PlantedLaw(
        cardinalities=SyntheticSpec(rows=1).sizes,
        seed=0,
        zipf=1.1,
        clusters=16,
        cluster_strength=0.8,
        missing=1.0,
        drift=0.0,
    )
    rows = law.rows(0, 20_000, 20_000, law.calibrated(1.35, 0.2568))
    auc = evaluate(rows.label.astype(np.float32), rows.logit).auc
    assert auc == pytest.approx(0.80, abs=0.012)


def test_days_are_files_in_a_folder_and_together_one_log(tmp_path: Path) -> None:
    whole = write_synthetic(tmp_path / "whole.tsv", SPEC)
    days = write_synthetic(tmp_path / "days", SyntheticSpec(rows=500, scale="1/100000", seed=1, days=3))
    files = [tmp_path / "days" / f"day_{i}" for i in range(3)]
    assert b"".join(f.read_bytes() for f in files) == whole.path.read_bytes()
    assert days.oracle_auc == whole.oracle_auc
    packed = write_synthetic(tmp_path / "packed.gz", SyntheticSpec(rows=9, scale="1/100000", days=2))
    assert sorted(f.name for f in packed.path.iterdir()) == ["day_0.gz", "day_1.gz"]


def test_other_public_sets_give_other_fields(tmp_path: Path) -> None:
    spec = SyntheticSpec(rows=20, cardinalities="avazu", scale="1/10000")
    report = write_synthetic(tmp_path / "a.tsv", spec)
    assert len(report.schema.categorical) == len(spec.sizes) == 22
    assert sum(columns.n for columns in scan(report.path, report.schema, BadRows("fail"))) == 20


def test_a_log_without_numbers_is_read_by_its_schema(tmp_path: Path) -> None:
    spec = SyntheticSpec.preset("drifting", rows=300, cardinalities=(50, 20, 4))
    report = write_synthetic(tmp_path / "a.tsv", spec)
    assert report.schema == criteo(dense=0, categorical=3)
    assert {line.count("\t") for line in report.path.read_text().splitlines()} == {3}
    assert sum(columns.n for columns in scan(report.path, report.schema, BadRows("fail"))) == 300


def test_presets_are_logs_by_name() -> None:
    assert SyntheticSpec.preset("criteo") == SyntheticSpec(rows=200_000)
    specs = {name: SyntheticSpec.preset(name) for name in PRESETS}
    sizes = {name: (spec.rows, sum(spec.sizes)) for name, spec in specs.items()}
    assert sizes["alike"] == (360_000, 193_280)
    assert sizes["independent"] == sizes["drifting"] == (2_300_000, 635_560)
    assert SyntheticSpec.preset("drifting", rows=5, seed=2).made() == IndependentLaw(
        cardinalities=SyntheticSpec.preset("independent").sizes, seed=2, zipf=1.1, shift=0.02, phases=6
    )
    with pytest.raises(UnknownName, match="Did you mean 'alike'"):
        SyntheticSpec.preset("alik")


def test_sizes_may_be_given() -> None:
    assert SyntheticSpec(rows=1, cardinalities=(50, 2)).sizes == (50, 2)
    assert SyntheticSpec(rows=1, cardinalities=(50, 2), scale="1/10").sizes == (5, 2)
    assert SyntheticSpec(rows=1).sizes == SyntheticSpec(rows=1, scale="1/100").sizes


def test_an_option_of_the_other_law_is_refused() -> None:
    with pytest.raises(OptionError, match="shift belongs to the law independent, not to clusters"):
        SyntheticSpec(rows=1, shift=0.1)
    with pytest.raises(OptionError, match="clusters, own belongs to the law clusters"):
        SyntheticSpec.preset("independent", clusters=3, own=0.0)
    with pytest.raises(UnknownName, match="No law called 'clustres'"):
        SyntheticSpec(rows=1, law=cast("Any", "clustres"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"rows": 0}, {"phases": 0}, {"shift": 1.5}, {"own": -0.5},
        {"days": 0}, {"clusters": 0}, {"cluster_strength": 1.5}, {"missing": -0.1}, {"zipf": 0.0},
        {"spread": 0.0}, {"base_rate": 1.0}, {"seed": -1}, {"drift": -1.0},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(wrong))):
        SyntheticSpec(**{"rows": 10, **wrong})
    with pytest.raises(UnknownName):
        _ = SyntheticSpec(rows=1, cardinalities="kagle").sizes
