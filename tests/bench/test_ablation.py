"""What a table is worth to a model: of planted tables, those that matter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pocketrec.bench.ablation import measured_nats
from pocketrec.data.dataset import Dataset
from pocketrec.data.prepare import prepare
from pocketrec.data.split import Split
from pocketrec.pipeline.config import RunConfig
from pocketrec.pipeline.train import run
from pocketrec.spec.schema import Field, Schema

ROWS = 3000
SCHEMA = Schema(
    fields=(
        Field(name="y", kind="label"), Field(name="strong", kind="categorical"), Field(name="weak", kind="categorical"),
        Field(name="none", kind="categorical"), Field(name="bag", kind="categorical", many=True),
    )
)  # fmt: skip


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The strong column decides a lot, the weak one a little, two of them nothing."""
    rng = np.random.default_rng(0)
    strong, weak, none = (rng.integers(6, size=ROWS) for _ in range(3))
    chance = 1 / (1 + np.exp(-(1.2 * (strong - 2.5) + 0.3 * (weak - 2.5))))
    clicks = rng.random(ROWS) < chance
    lines = ["y,strong,weak,none,bag"]
    lines += [
        f"{int(y)},s{s},w{w},n{n},{'|'.join(map(str, rng.integers(4, size=rng.integers(3))))}"
        for y, s, w, n in zip(clicks, strong, weak, none, strict=True)
    ]
    path = tmp_path_factory.mktemp("log") / "log.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("bags", [False, True])
def test_tables_that_matter_are_worth_more(log: Path, tmp_path: Path, bags: bool) -> None:
    schema = SCHEMA if bags else Schema(fields=SCHEMA.fields[:-1])
    config = RunConfig.from_json({
        "data": [str(log)], "schema": schema.to_json(), "split": {"rows": [2000, 1000, 0]}, "budget": "1x", "dim": 4,
        "method": "full", "model": {"bottom": [], "top": [8]}, "optimizer": {"lr": 0.1},
        "train": {"epochs": 4, "batch_size": 64, "dense_lr": 0.01, "matmul": "torch"},
    })  # fmt: skip
    model = run(config, out=None, cache=tmp_path, test=False).recommender.model
    dataset: Dataset = prepare(log, schema, cache=tmp_path, split=Split.rows(train=2000, validation=1000, test=0))
    found = measured_nats(model, dataset)
    assert found["strong"] > 0.1
    assert found["strong"] > 5 * found["weak"] > 0
    assert found["none"] < 0.01
    assert set(found) == {f.table_name for f in schema.tables}
    assert measured_nats(model, dataset) == found, "drawn in the same way each time"
    assert measured_nats(model, dataset, most_rows=10)["strong"] == found["strong"], "one batch at least"
    assert not model.training
    assert torch.is_grad_enabled()
