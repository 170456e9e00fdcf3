from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketrec.spec.errors import OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import (
    DTYPE_BYTES,
    VOCABULARY_ENTRY_BYTES,
    GroupSizing,
    Joins,
    Role,
    SizedIds,
    Sizing,
    TableSizing,
    TensorSpec,
)
from pocketrec.spec.table import Head, IdSpace, TableSpec

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)
SETTINGS = st.dictionaries(st.text(), JSON, max_size=2)
TENSORS = st.lists(
    st.builds(
        TensorSpec,
        name=st.text(),
        shape=st.lists(st.integers(0, 2**40), max_size=3).map(tuple),
        dtype=st.sampled_from(sorted(DTYPE_BYTES)),
        role=st.sampled_from(get_args(Role)),
    ),
    max_size=2,
).map(tuple)


@st.composite
def sizings(draw: st.DrawFn) -> Sizing:
    names = draw(st.lists(st.text(min_size=1), min_size=1, max_size=4, unique=True))
    cut = draw(st.integers(0, len(names)))
    return Sizing(
        groups=tuple(draw(groups(part)) for part in (names[:cut], names[cut:]) if part),
        order=tuple(draw(st.permutations(names + draw(st.lists(st.sampled_from(names), max_size=2))))),
        budget_bytes=draw(st.integers(0, 2**60)),
        optimizer=OptimizerSpec(name="adam", lr=draw(st.floats(1e-9, 10))),
        notes=tuple(draw(st.lists(st.text(), max_size=2))),
    )


@st.composite
def groups(draw: st.DrawFn, names: list[str]) -> GroupSizing:
    return GroupSizing(
        method=draw(st.text()),
        options=draw(SETTINGS),
        tables=tuple(
            TableSizing(
                table=TableSpec(name=name, rows=draw(st.integers(1, 2**50)), dim=draw(st.integers(1, 512))),
                ids=draw(st.sampled_from(get_args(SizedIds))),
                told_apart=draw(st.integers(0, 2**40)),
                settings=draw(SETTINGS),
            )
            for name in names
        ),
        settings=draw(SETTINGS),
        serve=draw(TENSORS),
        train=draw(TENSORS),
        state=draw(TENSORS),
    )


@given(sizings())
def test_a_sizing_survives_json(sizing: Sizing) -> None:
    again = Sizing.from_json(json.loads(json.dumps(sizing.to_json())))
    assert again == sizing
    assert again.to_json() == sizing.to_json()
    assert again.serve_bytes == sizing.serve_bytes
    assert again.unused_bytes == sizing.budget_bytes - sizing.serve_bytes


@pytest.mark.parametrize("dtype", [d for d in sorted(DTYPE_BYTES) if d != "bfloat16"])
def test_bytes_of_a_dtype_are_those_of_numpy(dtype: str) -> None:
    assert TensorSpec(name="x", shape=(3, 5), dtype=dtype).nbytes == np.zeros((3, 5), dtype=dtype).nbytes


def test_shapes_without_axes_or_elements() -> None:
    assert TensorSpec(name="x", shape=()).nbytes == 4
    assert TensorSpec(name="x", shape=(0, 5)).nbytes == 0
    assert TensorSpec(name="x", shape=(2**40, 2**20), dtype="int64").nbytes == 2**63


def small() -> Sizing:
    def table(name: str, ids: IdSpace, told_apart: int) -> TableSizing:
        return TableSizing(table=TableSpec(name=name, rows=10, dim=4), ids=ids, told_apart=told_apart)

    rows = TensorSpec(name="rows", shape=(10, 4), dtype="float16")
    shadow = TensorSpec(name="shadow", shape=(10, 4), role="training")
    full = GroupSizing(
        method="full",
        options={},
        tables=(table("item", "rank", 9), table("user", "plain", 9)),
        settings={},
        serve=(rows,),
        train=(rows, shadow),
        state=(TensorSpec(name="sum", shape=(10,)),),
    )
    robe = replace(full, method="robe", tables=(table("query", "hash63", 0),), serve=(shadow,), train=(), state=())
    return Sizing(groups=(full, robe), order=("query", "item", "user"), budget_bytes=500, optimizer=OptimizerSpec())


def test_bytes_are_sums_over_the_tensors() -> None:
    sizing = small()
    assert [g.serve_bytes for g in sizing.groups] == [80, 160]
    assert sizing.serve_bytes == 240
    assert sizing.unused_bytes == 260
    assert sizing.train_bytes == 80 + 160 + 40
    assert sizing.vocabulary_bytes == 9 * VOCABULARY_ENTRY_BYTES  # plain and hashed ids need none
    assert sizing.method == "full+robe"


def test_tables_are_found_by_name() -> None:
    assert small().of("query").ids == "hash63"
    with pytest.raises(OptionError, match=r"No table called 'itme'.*query, item, user"):
        small().of("itme")


@pytest.mark.parametrize("order", [("item", "user"), ("item", "user", "query", "x"), ("item", "item", "query")])
def test_every_table_is_sized_once(order: tuple[str, ...]) -> None:
    with pytest.raises(OptionError, match="must hold every table once"):
        replace(small(), order=order)


def test_columns_may_share_a_table_which_is_held_once() -> None:
    shared = replace(small(), order=("item", "query", "item", "user"))
    assert shared.serve_bytes == small().serve_bytes
    assert Sizing.from_json(shared.to_json()).order == ("item", "query", "item", "user")


def test_a_table_in_two_groups_is_refused() -> None:
    with pytest.raises(OptionError, match="must hold every table once"):
        replace(small(), groups=(small().groups[0],) * 2, order=("item", "user", "item", "user"))


@pytest.mark.parametrize(
    ("where", "key", "value"),
    [
        ((), "groups", None),
        ((), "groups", "abc"),
        ((), "budget_bytes", "many"),
        ((), "optimizer", {"name": "sgd", "rate": 1}),
        ((), "order", 5),
        (("groups", 0), "method", ...),
        (("groups", 0), "serve", [{"name": "x"}]),
        (("groups", 0), "tables", [{"table": {}}]),
        (("groups", 0), "options", 5),
        (("groups", 0, "serve", 0), "dtype", "float8"),
        (("groups", 0, "serve", 0), "dtype", ["float32"]),
        (("groups", 0, "serve", 0), "shape", 5),
        (("groups", 0, "serve", 0), "shape", [-1, 4]),
        (("groups", 0, "serve", 0), "shape", [1.5]),
        (("groups", 0, "serve", 0), "role", "idle"),
        (("groups", 0, "tables", 0), "ids", "name"),
        (("groups", 0, "tables", 0), "told_apart", -1),
    ],
)
def test_what_is_no_sizing_is_refused(where: tuple[str | int, ...], key: str, value: object) -> None:
    data: Any = json.loads(json.dumps(small().to_json()))
    inner = data
    for step in where:
        inner = inner[step]
    if value is ...:
        del inner[key]
    else:
        inner[key] = value
    with pytest.raises(OptionError):
        Sizing.from_json(data)


@pytest.mark.parametrize("data", [[], "x", None, 5])
def test_what_is_no_mapping_is_no_sizing(data: Any) -> None:
    with pytest.raises(OptionError, match="not a sizing"):
        Sizing.from_json(data)


def test_a_read_sizing_shares_nothing_with_what_it_was_read_from() -> None:
    data = small().to_json()
    sizing = Sizing.from_json(data)
    data["groups"][0]["options"]["x"] = 1
    data["groups"][0]["tables"][0]["settings"]["x"] = 1
    assert sizing == small()


# ---------------------------------------------------------------- groups that join


def joined(*joins: Joins) -> Sizing:
    """Groups of the tables item and user, which join each other so, before one that stands alone."""
    full, robe = small().groups
    cold = TableSizing(table=TableSpec(name="item", rows=4, dim=4, ids="hash63"), ids="head", told_apart=0)
    hot = replace(full, tables=(replace(full.tables[0], ids="head"), full.tables[1]))
    others = tuple(
        replace(full, method=f"m{i}", tables=(cold, full.tables[1]), joins=how) for i, how in enumerate(joins)
    )
    return replace(small(), groups=(hot, *others, robe), budget_bytes=5000)


def test_a_group_that_joins_holds_the_same_tables_once_more() -> None:
    sizing = joined("rest", "rest")
    assert sizing.serve_bytes == 3 * 80 + 160
    assert sizing.vocabulary_bytes == 9 * VOCABULARY_ENTRY_BYTES, "the ids are the same, and so is their vocabulary"
    assert sizing.of("item") is sizing.groups[0].tables[0]
    assert sizing.of("item").wanted == Head(9)
    assert sizing.of("user").wanted == "plain"
    assert Sizing.from_json(json.loads(json.dumps(sizing.to_json()))) == sizing
    assert sizing.method == "full+robe", "what a method contains is a matter of its options"


def test_without_the_word_a_group_stands_alone() -> None:
    written = small().to_json()
    for group in written["groups"]:
        del group["joins"]  # as artifacts were written before groups could join
    assert Sizing.from_json(written) == small()


@pytest.mark.parametrize(
    ("joins", "said"),
    [
        (("rest", "factor"), "m1 cannot join m0 as factor: that joins as rest"),
        (("factor", "rest"), "m1 cannot join m0 as rest: that joins as factor"),
        (("factor", "factor"), "m1 cannot join m0 as factor: that joins as factor"),
        (("alone",), "must hold every table once"),
        (("both",), "A group joins alone, rest, factor, not 'both'"),
    ],
)
def test_not_every_group_can_join_every_other(joins: tuple[Joins, ...], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        joined(*joins)


def test_a_group_joins_the_one_right_before_it_in_the_same_ids() -> None:
    hot, cold, robe = joined("rest").groups
    for groups in ((cold, hot, robe), (hot, robe, cold)):
        with pytest.raises(OptionError, match="m0 joins the group before it, which must hold the same tables"):
            replace(small(), groups=groups)
    hashed = replace(cold, tables=(replace(cold.tables[0], ids="hash63"), cold.tables[1]))
    turned = replace(cold, tables=cold.tables[::-1])
    for other in (hashed, turned, replace(cold, tables=cold.tables[:1])):
        with pytest.raises(OptionError, match="must hold the same tables"):
            replace(small(), groups=(hot, other, robe))
