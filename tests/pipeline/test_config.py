"""Configurations from YAML, from plain values and with overrides; errors that name the file, the key and the value."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from pocketrec.data.split import Split
from pocketrec.pipeline.config import RunConfig, SplitConfig, overridden
from pocketrec.spec.errors import OptionError

YAML = """
data: [day_0.tsv, day_1.tsv]
method: robe
options: {block: 8, storage: int8}
budget: 1.5MiB
split: {train: 27/35, validation: 3/35, test: 1/7}
train:
  epochs: 3
  batch_size: 256
optimizer: {name: adagrad, lr: 0.05}
model: {bottom: [32], top: [64, 32]}
refit: true
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(YAML)
    return path


def test_a_file_is_read(file: Path) -> None:
    config = RunConfig.load(file)
    assert config.data == ("day_0.tsv", "day_1.tsv")
    assert (config.method, config.options, config.budget) == ("robe", {"block": 8, "storage": "int8"}, "1.5MiB")
    assert (config.train.epochs, config.train.batch_size, config.train.dense_optimizer) == (3, 256, "adam")
    assert (config.optimizer.name, config.optimizer.lr) == ("adagrad", 0.05)
    assert (config.model.bottom, config.model.top, config.model.name) == ((32,), (64, 32), "dlrm")
    assert config.refit is True
    assert config.serving_precision == "float32"
    assert config.split.split() == Split(train="27/35", validation="3/35", test="1/7")
    assert (config.dim, config.seed, config.schema) == (16, 0, "criteo")


def test_overrides_win_and_leave_their_neighbours_alone(file: Path) -> None:
    config = RunConfig.load(file, {"train.epochs": 9, "budget": "16x", "options.block": 2, "split.test": "0"})
    assert (config.train.epochs, config.train.batch_size) == (9, 256)
    assert (config.budget, config.options) == ("16x", {"block": 2, "storage": "int8"})
    assert config.split.split().shares == (Fraction(27, 35), Fraction(3, 35), Fraction(0))


def test_json_gives_an_equal_configuration_back(file: Path) -> None:
    config = RunConfig.load(file)
    assert RunConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    file.write_text(json.dumps(config.to_json()))
    assert RunConfig.load(file) == config


def test_an_empty_file_lacks_only_data(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").touch()
    with pytest.raises(OptionError, match=r"empty\.yaml: data: .*required"):
        RunConfig.load(tmp_path / "empty.yaml")
    assert RunConfig.load(tmp_path / "empty.yaml", {"data": ["x"]}) == RunConfig(data=("x",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data: [", "cannot be read: while parsing"),
        ("- 1", "is a mapping, this is a list"),
        ("just words", "is a mapping, this is a str"),
    ],
)
def test_what_is_not_a_configuration_is_named(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text(text)
    with pytest.raises(OptionError, match=rf"odd\.yaml: .*{said}"):
        RunConfig.load(tmp_path / "odd.yaml")


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"no\.yaml: there is no such configuration file"):
        RunConfig.load(tmp_path / "no.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OptionError, match=r"bytes\.yaml: this configuration cannot be read"):
        RunConfig.load(tmp_path / "bytes.yaml")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"trian": {}}, "f.yaml: trian: there is no such key; did you mean 'train'?"),
        ({"train": {"epohcs": 3}}, "f.yaml: train.epohcs: there is no such key; did you mean 'epochs'?"),
        ({"split": {"xyzzy": 3}}, "split.xyzzy: there is no such key; known: by, train, validation, test, rows"),
        ({"train": {"epochs": 0}}, "f.yaml: train: epochs must be 1 or more, got 0."),
        ({"train": {"epochs": 2.5}}, "train.epochs: it should be a valid integer, got a number with a fractional"),
        ({"train": {"order": "random"}}, "train.order: it should be 'shuffle' or 'time', got 'random'"),
        ({"optimizer": {"name": "adamm"}}, "optimizer.name: it should be 'sgd', "),
        ({"optimizer": {"lr": -1}}, "optimizer: lr must be above 0 and finite, got -1"),
        ({"model": {"name": "dlrn"}}, "model.name: No model called 'dlrn'. Did you mean 'dlrm'?"),
        ({"model": {"bottom": "64"}}, "model.bottom: it should be a valid tuple, got '64'"),
        ({"budget": 0.5}, "budget: it should be a valid string, got 0.5 or it should be a valid integer"),
        ({"budget": "16y"}, "budget: Cannot read the budget '16y'"),
        ({"budget": 0}, "budget: A budget must be above 0, got 0"),
        ({"train_budget": "5%"}, "budget: a training budget must be absolute bytes"),
        ({"method": "rob"}, "method: No method called 'rob'. Did you mean 'robe'? Known: ada_embed, "),
        ({"method": "robe", "options": {"blok": 1}}, "options: robe has no option 'blok'. Options: aligned, block"),
        ({"method": "robe", "options": {"block": "8"}}, "options: robe: block: it should be a valid integer, got '8'"),
        ({"method": "robe", "options": {"sign": "maybe"}}, "options: robe: sign: it should be a valid boolean"),
        ({"method": "robe", "options": {"hash": "md5"}}, "options: robe: hash: it should be 'mix' or 'linear', got"),
        ({"options": {"storage": "int9"}}, "options: No storage called 'int9'. Did you mean 'int8'?"),
        ({"options": {"init": -1.0}}, "options: min_count: init must be above 0"),
        ({"options": {"init": {1}}}, "options: min_count: options are plain values: "),
        ({"split": {"train": "x"}}, "split: train must be a fraction such as"),
        ({"split": {"train": "1"}}, "split: The shares of a split must not be negative nor add up to more than 1"),
        ({"split": {"rows": [1, 2]}}, "split.rows.2: Field required"),
        ({"split": {"rows": [1, 2, 3], "by": "hash"}}, "split: Numbers of rows belong to a split by time"),
        ({"serving_precision": "int8"}, "serving_precision: it should be 'float32' or 'bfloat16', got 'int8'"),
        ({"data": []}, "f.yaml: data names no file"),
        ({"dim": 0}, "f.yaml: dim must be 1 or more"),
        ({"seed": -1}, "seed 0 or more, got 16 and -1"),
        ({"bad_rows": "maybe"}, "bad_rows: it should be 'fail' or 'skip', got 'maybe'"),
        ({"seed": "x", "dim": "y"}, "dim: it should be a valid integer, unable to parse string"),
    ],
)
def test_every_mistake_names_source_key_and_value(values: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError) as refusal:
        RunConfig.from_json({"data": ["x"], **values}, source="f.yaml")
    assert said in str(refusal.value)
    assert str(refusal.value).startswith("f.yaml: ")
    assert "\n" not in str(refusal.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(OptionError, match=r"dim: .*; seed: "):
        RunConfig.from_json({"data": ["x"], "seed": "x", "dim": "y"})


def test_shares_may_be_written_as_numbers_and_are_exact() -> None:
    config = RunConfig.from_json({"data": ["x"], "split": {"train": 0.7, "validation": 0.1, "test": 0.2}})
    assert config.split.split().shares == (Fraction(7, 10), Fraction(1, 10), Fraction(2, 10))
    whole = RunConfig.from_json({"data": ["x"], "split": {"train": 1, "validation": 0, "test": 0}})
    assert whole.split.split().shares == (1, 0, 0)


def test_rows_in_place_of_shares() -> None:
    assert SplitConfig(rows=(5, 0, 2)).split() == Split.rows(train=5, validation=0, test=2)


def test_overriding_copies() -> None:
    before = {"train": {"epochs": 1}}
    after = overridden(before, {"train.epochs": 2, "model.top": [4]})
    assert (before, after) == ({"train": {"epochs": 1}}, {"train": {"epochs": 2}, "model": {"top": [4]}})
    with pytest.raises(OptionError, match=r"seed\.x: seed is 3, it has no keys of its own"):
        overridden({"seed": 3}, {"seed.x": 1})
