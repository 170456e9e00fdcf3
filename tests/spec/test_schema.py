from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.spec.errors import SchemaError
from pocketrec.spec.schema import DenseTransform, Field, Schema, criteo

KINDS = st.sampled_from(["text", "hex"])
FIELDS = st.one_of(
    st.builds(
        Field, name=st.just("c"), kind=st.just("categorical"), ids=st.sampled_from(["rank", "hash63"]), tokens=KINDS
    ),
    st.builds(Field, name=st.just("c"), kind=st.just("categorical"), ids=st.just("plain"), rows=st.integers(1, 2**40)),
    st.builds(
        Field,
        name=st.just("d"),
        kind=st.just("dense"),
        transform=st.builds(
            DenseTransform,
            fill=st.floats(-10, 10),
            clip=st.none() | st.just((-1.0, 2.5)),
            log1p=st.booleans(),
            standardise=st.booleans(),
            missing_flag=st.booleans(),
        ),
    ),
)


@given(field=FIELDS, delimiter=st.sampled_from([",", "\t", ";"]))
def test_json_and_yaml_give_an_equal_schema_back(
    field: Field, delimiter: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    schema = Schema(
        fields=(Field(name="y", kind="label"), field, Field(name="t", kind="time", clock="iso8601")),
        delimiter=delimiter,
    )
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema
    path = tmp_path_factory.mktemp("schema") / "schema.yaml"
    path.write_text(schema.to_yaml())
    assert Schema.load(path) == schema


def test_json_leaves_defaults_out() -> None:
    assert Schema(fields=(Field(name="a", kind="dense"),)).to_json() == {"fields": [{"name": "a", "kind": "dense"}]}


def test_a_whole_schema_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log.yaml"
    path.write_text(
        "format: csv\ndelimiter: ';'\nheader: false\nfields:\n"
        "  - {name: click, kind: label}\n"
        "  - {name: price, kind: dense, transform: {log1p: true, clip: [0, 100], missing_flag: true}}\n"
        "  - {name: candidate, kind: categorical, table: item}\n"
        "  - {name: last, kind: categorical, table: item}\n"
        "  - {name: w, kind: weight}\n"
        "  - {name: hour, kind: time}\n"
    )
    schema = Schema.load(path)
    assert schema.label is not None
    assert schema.weight is not None
    assert schema.time is not None
    assert (schema.label.name, schema.weight.name, schema.time.name) == ("click", "w", "hour")
    assert schema.dense_columns == ("price", "price_missing")
    assert schema.dense[0].transform.clip == (0.0, 100.0)
    assert [f.name for f in schema.categorical] == ["candidate", "last"]
    assert [f.table_name for f in schema.tables] == ["item"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "fields: Field required"),
        ({"fields": []}, "at least one categorical or dense field"),
        ({"fields": [{"name": "a", "kind": "dens"}]}, r"fields\[0\].kind: .*'dense'"),
        ({"fields": [{"name": "a", "kind": "dense", "colour": 1}]}, r"fields\[0\].colour: there is no such key"),
        ({"fields": [{"name": "a", "kind": "dense"}], "formt": "csv"}, "formt: there is no such key"),
        ({"fields": [{"name": "a", "kind": "dense", "transform": {"log": True}}]}, r"transform.log: there is no such"),
        ({"fields": [{"name": "a", "kind": "dense", "transform": {"clip": [2, 1]}}]}, "lowest < highest"),
        ({"fields": [{"name": "a", "kind": "dense", "transform": {"fill": "nan"}}]}, "finite"),
        ({"fields": [{"name": "", "kind": "dense"}]}, "needs a name"),
        ({"fields": [{"name": "a", "kind": "dense"}, {"name": "a", "kind": "dense"}]}, "'a' stands twice"),
        ({"fields": [{"name": "a", "kind": "dense", "ids": "hash63"}]}, "'a' is a dense; ids is for categorical"),
        (
            {"fields": [{"name": "a", "kind": "dense"}, {"name": "b", "kind": "label", "clock": "iso8601"}]},
            "time fields only",
        ),
        ({"fields": [{"name": "a", "kind": "categorical", "transform": {"log1p": True}}]}, "dense fields only"),
        ({"fields": [{"name": "a", "kind": "categorical", "ids": "plain"}]}, "rows .* goes with ids: plain"),
        ({"fields": [{"name": "a", "kind": "categorical", "rows": 4}]}, "rows .* goes with ids: plain"),
        ({"fields": [{"name": "a", "kind": "categorical", "ids": "plain", "rows": 0}]}, "1 or more"),
        (
            {"fields": [{"name": "a", "kind": "dense"}, *({"name": n, "kind": "label"} for n in "xy")]},
            "at most one label",
        ),
        ({"fields": [{"name": "a", "kind": "dense"}], "delimiter": "::"}, "one ASCII character"),
        (
            {
                "fields": [
                    {"name": "a", "kind": "categorical", "table": "t"},
                    {"name": "t", "kind": "categorical", "ids": "hash63"},
                ]
            },
            "'a' and 't' share table 't' but not their ids",
        ),
    ],
)
def test_what_does_not_add_up_is_refused_by_name(data: dict[str, object], said: str) -> None:
    with pytest.raises(SchemaError, match=f"^log.yaml: .*{said}"):
        Schema.from_json(data, source="log.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fields: [", "not a schema file"),
        ("- a\n- b\n", "mapping with the key fields"),
        ("", "mapping"),
        ("a: \x00", "not a"),
    ],
)
def test_files_that_are_no_schemas_are_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(SchemaError, match=f"bad.yaml: .*{said}"):
        Schema.load(path)
    with pytest.raises(SchemaError, match="no such schema file"):
        Schema.load(tmp_path / "absent.yaml")


def test_yaml_cannot_make_python_objects(tmp_path: Path) -> None:
    path = tmp_path / "evil.yaml"
    path.write_text("fields: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(SchemaError, match="not a schema file"):
        Schema.load(path)


def test_criteo_is_the_published_layout() -> None:
    schema = criteo()
    assert [f.name for f in schema.fields] == [
        "label",
        *(f"I{i}" for i in range(1, 14)),
        *(f"C{i}" for i in range(1, 27)),
    ]
    assert all(f.transform == DenseTransform(log1p=True) for f in schema.dense)
    assert all((f.ids, f.tokens) == ("rank", "hex") for f in schema.categorical)
    assert Schema.from_json(schema.to_json()) == schema


def test_unlabelled_drops_label_and_weight_only() -> None:
    schema = criteo().unlabelled()
    assert schema.label is None
    assert len(schema.fields) == 39
    assert schema.format == "criteo"


def test_a_bag_field_has_a_separator_a_pool_and_a_longest_bag() -> None:
    genres = Field(name="genres", kind="categorical", many=True, separator=",", pool="sum", max_values=5)
    schema = Schema(fields=(Field(name="user", kind="categorical"), genres), user="user")
    assert Schema.from_json(schema.to_json()) == schema
    assert schema.bags == (genres,)


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ({"kind": "categorical", "separator": ","}, "many: true"),
        ({"kind": "categorical", "max_values": 5}, "many: true"),
        ({"kind": "categorical", "many": True, "separator": ""}, "separator must be"),
        ({"kind": "categorical", "many": True, "max_values": 0}, "max_values must be 1 or more, got 0"),
        ({"kind": "dense", "many": True}, "many is for categorical fields only"),
        ({"kind": "dense", "threshold": 4.0}, "threshold is for label fields only"),
        ({"kind": "label", "threshold": float("nan")}, "threshold must be a finite number"),
    ],
)
def test_a_bag_that_makes_no_sense_is_refused(field: dict[str, Any], said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        Field(name="f", **field)


@pytest.mark.parametrize("user", ["nobody", "price", "genres"])
def test_the_user_is_a_field_with_one_token_per_row(user: str) -> None:
    fields = (
        Field(name="price", kind="dense"),
        Field(name="id", kind="categorical"),
        Field(name="genres", kind="categorical", many=True),
    )
    assert Schema(fields=fields, user="id").user == "id"
    with pytest.raises(SchemaError, match=f"user: '{user}'"):
        Schema(fields=fields, user=user)
