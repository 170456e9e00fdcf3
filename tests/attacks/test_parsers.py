"""Everything that parses what people write, on bytes that nobody would write: named errors or a value, nothing else.

Readers of logs are fuzzed by their contract suite; headers and manifests of artifacts beside this file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pocketrec.cli._options import pairs
from pocketrec.cli.size import _specs
from pocketrec.compress import of
from pocketrec.data.encoder import Encoder
from pocketrec.data.split import Split
from pocketrec.pipeline.config import RunConfig
from pocketrec.spec.budget import Budget
from pocketrec.spec.errors import PocketrecError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.result import Result, read_results
from pocketrec.spec.schema import Schema
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import TableSpec

SCHEMA = """
format: csv
delimiter: ";"
user: site
fields:
  - {name: click, kind: label, threshold: 3.5}
  - {name: price, kind: dense, transform: {log1p: true, clip: [0.0, 9.0]}}
  - {name: site, kind: categorical, tokens: hex}
  - {name: genres, kind: categorical, many: true, separator: ",", table: g, max_values: 4}
  - {name: when, kind: time, clock: iso8601}
"""
CONFIG = f"""
data: [log.csv]
schema: {json.dumps(yaml.safe_load(SCHEMA))}
method: robe
options: {{block: 4, storage: int8}}
budget: 16x
split: {{by: time, train: 8/10, validation: 1/10, test: 0.1}}
model: {{name: dlrm, bottom: [8], top: [8, 4]}}
train: {{epochs: 3, dense_lr: 0.001, patience: null}}
"""
TABLES = "C1: 100\nC2: 7\nopen: null\n"
SIZING = (
    of("min_count", {})
    .size([TableSpec(name="a", rows=50, dim=4, ids="rank")], 200, optimizer=OptimizerSpec())
    .to_json()
)
RESULT = Result(commit="c", command="", data="d", model="m", method="full", budget="1x", budget_bytes=8, seed=0)

JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2), st.just(10**400), st.just(-1), st.just(""),
)  # fmt: skip


def places(value: Any) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside a JSON value."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield (key,)
            yield from ((key, *rest) for rest in places(inner))


@st.composite
def spoiled(draw: st.DrawFn, whole: Any) -> Any:
    """A JSON value in which one value was replaced, or removed, or which got a key more."""
    copy = json.loads(json.dumps(whole))
    *path, last = draw(st.sampled_from(list(places(copy))))
    inside = copy
    for key in path:
        inside = inside[key]
    how = draw(st.sampled_from(["replace", "remove", "add"]))
    if how == "replace":
        inside[last] = draw(JUNK)
    elif how == "remove":
        del inside[last]
    elif isinstance(inside, dict):
        inside[draw(st.text(max_size=4))] = draw(JUNK)
    return copy


@st.composite
def scratched(draw: st.DrawFn, whole: str) -> bytes:
    """The bytes of a text with a piece replaced by others."""
    data = whole.encode()
    at = draw(st.integers(0, len(data)))
    return data[:at] + draw(st.binary(max_size=6)) + data[at + draw(st.integers(0, 8)) :]


def survives(parse: Callable[[Any], object], given_: Any) -> None:
    try:
        parse(given_)
    except PocketrecError as error:
        said = str(error)
    else:
        return
    assert said


many = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize(
    ("text", "parse"),
    [
        (SCHEMA, lambda path: Schema.load(path)),
        (CONFIG, lambda path: RunConfig.load(path)),
        (TABLES, lambda path: _specs(str(path), 4)),
        (RESULT.to_json_line(), lambda path: read_results(path)),
    ],
    ids=["schema", "config", "tables", "results"],
)
class TestFiles:
    """Files that people write or edit."""

    @many
    @given(data=st.data())
    def test_scratched(self, tmp_path: Path, text: str, parse: Callable[[Path], object], data: st.DataObject) -> None:
        (tmp_path / "f").write_bytes(data.draw(scratched(text)))
        survives(parse, tmp_path / "f")

    @many
    @given(data=st.binary(max_size=80))
    def test_anything(self, tmp_path: Path, text: str, parse: Callable[[Path], object], data: bytes) -> None:
        (tmp_path / "f").write_bytes(data)
        survives(parse, tmp_path / "f")

    def test_unspoiled(self, tmp_path: Path, text: str, parse: Callable[[Path], object]) -> None:
        (tmp_path / "f").write_text(text)
        parse(tmp_path / "f")


ENCODER = {"schema": yaml.safe_load(SCHEMA), "fitted": {}, "tables": []}


@pytest.mark.parametrize(
    ("whole", "parse"),
    [
        (yaml.safe_load(SCHEMA), Schema.from_json),
        (yaml.safe_load(CONFIG), RunConfig.from_json),
        (SIZING, Sizing.from_json),
        (ENCODER, lambda plain: Encoder.from_parts(plain, {})),
        (json.loads(RESULT.to_json_line()), lambda plain: Result.from_json_line(json.dumps(plain))),
    ],
    ids=["schema", "config", "sizing", "encoder", "result"],
)
@many
@given(data=st.data())
def test_values_of_the_wrong_kind(whole: Any, parse: Callable[[Any], object], data: st.DataObject) -> None:
    survives(parse, data.draw(spoiled(whole)))


@many
@given(text=st.text(max_size=20))
def test_texts_of_the_command_line(text: str) -> None:
    survives(Budget.parse, text)
    survives(lambda t: pairs([t], "--set"), text)
    survives(lambda t: pairs([f"key={t}"], "--set"), text)
    survives(lambda t: Split(train=t), text)
