"""The data of a run: which schema, which cache, which parts in which ids."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketrec.pipeline import RunConfig
from pocketrec.pipeline.data import PartSource, RunData, default_cache, open_data, schema_of, spaces_by_table
from pocketrec.spec.errors import BadFile, SchemaError
from pocketrec.spec.schema import criteo


def config_of(*logs: Any, **settings: Any) -> RunConfig:
    data = [str(log.path) for log in logs]
    return RunConfig.from_json({"data": data, "schema": logs[0].schema.to_json(), **settings})


def test_the_cache_lies_where_caches_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "pocketrec"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache() == tmp_path / ".cache" / "pocketrec"


def test_a_schema_is_built_in_a_file_or_plain_values(tmp_path: Path, logs: dict[str, Any]) -> None:
    schema = logs["mixed"].schema
    (tmp_path / "s.yaml").write_text(schema.to_yaml())
    assert schema_of("criteo") == criteo()
    assert schema_of(str(tmp_path / "s.yaml")) == schema == schema_of(schema.to_json())
    with pytest.raises(
        SchemaError, match=r"no such schema file, and no built-in .* 'avazu'\? Built in: avazu, criteo, "
    ):
        schema_of("avasu")
    with pytest.raises(SchemaError, match="no such schema file"):
        schema_of(str(tmp_path / "nowhere.yaml"))


def test_files_are_read_one_after_the_other(logs: dict[str, Any], next_day: Any, cache: Path) -> None:
    both = open_data(config_of(logs["ranks"], next_day, split={"by": "hash"}), cache)
    assert both.rows == 1800
    assert open_data(config_of(logs["ranks"], split={"rows": [10, 0, 3]}), cache).parts == {
        "train": 10, "validation": 0, "test": 3,
    }  # fmt: skip


def test_the_second_call_opens_the_same_cache_without_reading(logs: dict[str, Any], cache: Path) -> None:
    told: list[str] = []
    split = {"train": "5/10"}
    first = open_data(config_of(logs["ranks"], split=split), cache, progress=lambda stage, *_: told.append(stage))
    assert list(dict.fromkeys(told)) == ["read", "rank", "write"]
    told.clear()
    again = open_data(config_of(logs["ranks"], split=split), cache, progress=lambda stage, *_: told.append(stage))
    assert (again.path, told) == (first.path, [])


def test_an_encoder_brings_its_schema(logs: dict[str, Any], next_day: Any, cache: Path) -> None:
    encoder = open_data(config_of(logs["ranks"]), cache).encoder()
    today = open_data(RunConfig(data=(str(next_day.path),), schema="gone.yaml"), cache, encoder=encoder)
    assert today.schema == logs["ranks"].schema


def test_a_file_that_is_not_there_is_named(cache: Path) -> None:
    with pytest.raises(BadFile, match=r"nowhere\.tsv: there is no such file"):
        open_data(RunConfig(data=("nowhere.tsv",)), cache)


def test_parts_without_rows_are_none(logs: dict[str, Any], cache: Path) -> None:
    dataset = open_data(config_of(logs["ranks"], split={"validation": "0"}), cache)
    data = RunData(dataset=dataset)
    assert data.source("validation", ["rank"] * 3) is None
    assert RunData(dataset=dataset, validation=()).source("validation", ["rank"] * 3) is None
    source = data.source("train", ["rank"] * 3)
    assert source is not None
    assert source.batch_count(100) == -(-dataset.parts["train"] // 100)


def test_batches_come_in_the_wanted_ids(logs: dict[str, Any], cache: Path, runs: Callable[..., Any]) -> None:
    dataset = open_data(config_of(logs["mixed"]), cache)
    spaces = spaces_by_table(dataset.schema, ["hash63", "hash63", "rank", "hash63", "plain"])
    assert spaces == {"item": "hash63", "site": "rank", "user": "hash63", "slot": "plain"}
    batches = [
        next(PartSource(dataset=dataset, parts=("train",), id_spaces=wanted).batches(
            batch_size=50, order="time", seed=0, epoch=0, start=0
        )).ids.numpy()
        for wanted in (spaces, {})
    ]  # fmt: skip
    hashed, ranked = batches
    np.testing.assert_array_equal(hashed[:, 0], dataset.tokens("item")[ranked[:, 0]])
    np.testing.assert_array_equal(hashed[:, 2:], ranked[:, 2:])
    assert (hashed[:, 0] > 2**31).any()
