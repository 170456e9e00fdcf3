"""Run the cells of a study that have no result line yet.

    python experiments/run.py STUDY.toml --data FILE_OR_FOLDER [--part 0/2] [--cache FOLDER]

A study is TOML: a table ``base`` (a run's configuration without data), a list of ``cells`` (values that replace the
base's, by dotted key) and ``seeds``. Every cell runs with every seed. ``name`` says what the data is, and ``files``
which files of the folder it is, of the whole study or of a cell.
"""

from __future__ import annotations

import argparse
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pocketrec.cli._run import commit
from pocketrec.pipeline.config import RunConfig, overridden
from pocketrec.pipeline.data import default_cache
from pocketrec.pipeline.train import run
from pocketrec.spec.errors import BudgetTooSmall
from pocketrec.spec.metrics import Progressive
from pocketrec.spec.result import Result, append_result, read_results


def main() -> None:
    """Parse, then run cell by cell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--part", default="0/1", help="which share of the cells, such as 0/2")
    asked = parser.parse_args()
    study = tomllib.loads(asked.study.read_text(encoding="utf-8"))
    out = asked.study.parent / "results" / f"{asked.study.stem}.jsonl"
    number, parts = (int(n) for n in asked.part.split("/"))
    for place, (config, keep) in enumerate(_cells(study, asked.data)):
        # read again before every cell: another process may be at work on the same study
        done = {_key(r) for r in read_results(out)} if out.exists() else set()
        if place % parts != number or (config.method, str(config.budget), config.seed, _text(keep)) in done:
            continue
        began = time.perf_counter()
        identity = {
            "commit": commit(), "data": study.get("name", "criteo sample, 6/7 to 1/7 by time"),
            "command": f"python experiments/run.py experiments/{asked.study.name} --data ...",
        }  # fmt: skip
        result = _run(config, keep, asked.cache, identity)
        append_result(out, result)
        auc = result.test.auc if result.test else result.validation.auc if result.validation else None
        sys.stderr.write(
            f"{config.method} {config.budget} seed {config.seed} {keep}: AUC {auc} epochs {result.epochs} "
            f"{time.perf_counter() - began:.0f} s {result.skipped or ''}\n"
        )


def _cells(study: dict[str, Any], data: str) -> Iterator[tuple[RunConfig, dict[str, Any]]]:
    """Every cell with every seed, seeds outermost, so that all methods grow together."""
    for seed in study["seeds"]:
        for cell in study["cells"]:
            names = cell.get("files", study.get("files"))
            files = [data] if names is None else [str(Path(data) / name) for name in names]
            own = {key: value for key, value in cell.items() if key != "files"}
            values = overridden({**study["base"], "data": files}, {**own, "seed": seed})
            yield RunConfig.from_json(values), {k: v for k, v in cell.items() if k not in ("method", "budget")}


def _run(config: RunConfig, cell: dict[str, Any], cache: Path, identity: dict[str, str]) -> Result:
    try:
        found = run(config, out=None, cache=cache, identity=identity).result
    except BudgetTooSmall as refusal:
        found = Result(
            **identity, model=config.model.name, method=config.method, budget=str(config.budget),
            budget_bytes=refusal.budget_bytes, seed=config.seed, skipped=str(refusal),
        )  # fmt: skip
    return replace(found, progressive=_short(found.progressive), options={**found.options, "cell": _text(cell)})


def _short(progressive: Progressive | None) -> Progressive | None:
    """The same with five digits in its curve, which is only drawn and would be most of a study's file."""
    if progressive is None:
        return None
    return replace(progressive, curve=tuple((rows, float(f"{loss:.5g}")) for rows, loss in progressive.curve))


def _text(cell: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in sorted(cell.items()))


def _key(result: Result) -> tuple[str, str, int, str]:
    return result.method, result.budget, result.seed, str(result.options.get("cell", ""))


if __name__ == "__main__":
    main()
