"""Lines so far."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pocketrec.bench.cells import CellMaker
from pocketrec.bench.lines import Lines, standing
from pocketrec.bench.study import read_study
from pocketrec.spec.result import Result, append_result

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"


def test_lines_of_others_are_seen_when_they_come(make_run: Callable[..., Result], tmp_path: Path) -> None:
    lines = Lines(tmp_path / "r.jsonl", named_data=False)
    assert lines.by_key() == {}
    append_result(tmp_path / "r.jsonl", make_run(seed=4))
    assert [r.seed for r in lines.by_key().values()] == [4]
    append_result(tmp_path / "r.jsonl", make_run(seed=5))
    assert [r.seed for r in lines.by_key().values()] == [4, 5]


def test_with_retry_failures_of_before_count_as_not_run(make_run: Callable[..., Result], tmp_path: Path) -> None:
    path, failed = tmp_path / "r.jsonl", make_run(seed=1, auc=None, skipped="killed", failed=True)
    append_result(path, make_run(seed=0))
    append_result(path, failed)
    append_result(path, make_run(seed=2, auc=None, skipped="floor"))
    assert [r.seed for r in Lines(path, named_data=True).by_key().values()] == [0, 1, 2]
    again = Lines(path, named_data=True, retry=True)
    assert [r.seed for r in again.by_key().values()] == [0, 2], "a refusal stays one"
    append_result(path, failed)
    assert sorted(r.seed for r in again.by_key().values()) == [0, 1, 2], "that of this time counts"


def test_failures_that_went_well_later_do_not_stand(make_run: Callable[..., Result]) -> None:
    failed = make_run(seed=1, auc=None, skipped="killed", failed=True)
    other = make_run(seed=2, auc=None, skipped="killed", failed=True)
    well = make_run(seed=1)
    assert standing([failed, other, failed, well]) == [other, well]
    assert standing([failed, failed]) == [failed]


@pytest.mark.parametrize("name", ["frappe_methods", "kuairand_bits"])
def test_cells_of_studies_of_before_are_known_by_their_lines(name: str, tmp_path: Path) -> None:
    study = read_study(EXPERIMENTS / f"{name}.toml")
    for file in study.data[0].files or ():
        (tmp_path / file).touch()
    maker = CellMaker(study=study, folder=tmp_path, cache=tmp_path)
    done = Lines(EXPERIMENTS / "results" / f"{name}.jsonl", named_data=study.named_data).by_key()
    made = {maker.written(k, study.data[0], seed).key for k in range(len(study.cells)) for seed in study.seeds}
    assert made == set(done)
    assert len(made) == len(study.seeds) * len(study.cells)


def test_a_line_that_a_killed_runner_left_half_written_is_a_cell_that_did_not_run(
    make_run: Callable[..., Result], tmp_path: Path
) -> None:
    path = tmp_path / "r.jsonl"
    append_result(path, make_run(seed=0))
    with path.open("a") as file:
        file.write(make_run(seed=1).to_json_line()[:50])
    assert [r.seed for r in Lines(path, named_data=True).by_key().values()] == [0]
    append_result(path, make_run(seed=1))
    assert [r.seed for r in Lines(path, named_data=True).by_key().values()] == [0, 1]
