"""The sizing of a run: measured counts, shared tables, and what must be told apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pocketrec.pipeline import RunConfig
from pocketrec.pipeline.data import open_data
from pocketrec.pipeline.size import check_schema, row_dim, size_run, told_apart, with_columns
from pocketrec.spec.errors import BudgetTextError, BudgetTooSmall, OptionError
from pocketrec.spec.schema import Field, Schema


def config_of(log: Any, **settings: Any) -> RunConfig:
    return RunConfig.from_json({"data": [str(log.path)], "schema": log.schema.to_json(), "dim": 8, **settings})


def test_fields_that_share_a_table_are_columns_of_one_table(logs: dict[str, Any], cache: Path) -> None:
    config = config_of(logs["ranks"], method="full", budget="1x")
    dataset = open_data(config, cache)
    sizing = size_run(config, dataset)
    assert sizing.order == ("item", "item", "site")
    assert [t.table.name for g in sizing.groups for t in g.tables] == ["item", "site"]
    table = logs["ranks"].table.slice(0, 960)
    distinct = set(table["candidate"].to_pylist()) | set(table["last"].to_pylist())
    assert sizing.of("item").table.rows == len(distinct) + 1
    assert sizing.serve_bytes == sizing.budget_bytes == 8 * 4 * sum(t.closed_rows for t in dataset.table_specs(8))


def test_counts_are_measured_and_not_assumed(logs: dict[str, Any], cache: Path) -> None:
    config = config_of(logs["ranks"], budget="4x")
    sizing = size_run(config, open_data(config, cache))
    assert sizing.notes == ()
    assert sizing.groups[0].settings["min_count"] > 1


def test_after_a_refit_validation_rows_count_too(logs: dict[str, Any], cache: Path) -> None:
    config = config_of(logs["ranks"], method="full", budget="1x")
    dataset = open_data(config, cache)
    assert size_run(config, dataset, "validation").serve_bytes > size_run(config, dataset, "train").serve_bytes


def test_only_what_the_tables_tell_apart_needs_a_vocabulary(logs: dict[str, Any], cache: Path) -> None:
    for method, budget, expected in (("robe", 500, 0), ("full", "64KB", None)):
        config = config_of(logs["ranks"], method=method, budget=budget)
        sizing = size_run(config, open_data(config, cache))
        rows = {name: sizing.of(name).table.closed_rows - 1 for name in ("item", "site")}
        wanted = dict.fromkeys(rows, expected) if expected is not None else rows
        assert told_apart(sizing, logs["ranks"].schema) == wanted


def test_first_order_weights_are_rows_of_the_tables_and_count(logs: dict[str, Any], cache: Path) -> None:
    """A relative budget is one of the tables that the model has: dim + 1 numbers per row."""
    without, with_ = (
        config_of(logs["ranks"], method="full", budget="1x", model={"name": name}) for name in ("dlrm", "deepfm")
    )
    assert (row_dim(without), row_dim(with_)) == (8, 9)
    plain, first_order = (size_run(config, open_data(config, cache)) for config in (without, with_))
    assert {t.table.dim for g in first_order.groups for t in g.tables} == {9}
    assert first_order.budget_bytes * 8 == plain.budget_bytes * 9
    assert first_order.serve_bytes == first_order.budget_bytes


@pytest.mark.parametrize(
    ("model", "options", "init"),
    [
        ("deepfm", {}, 0.01),
        ("deepfm", {"init": 0.5}, 0.5),
        ("deepfm", {"init": None}, None),  # said, so it counts: the method's own
        ("dlrm", {}, None),
        ("dcn_v2", {}, None),
        ("memrec", {}, None),
        ("wide_deep", {}, None),
    ],
)
def test_tables_start_as_the_model_asks_unless_told(
    logs: dict[str, Any], cache: Path, model: str, options: dict[str, Any], init: float | None
) -> None:
    config = config_of(logs["ranks"], method="full", budget="1x", model={"name": model}, options=options)
    sizing = size_run(config, open_data(config, cache))
    assert [group.options["init"] for group in sizing.groups] == [init]
    assert dict(config.options) == options, "what was asked for stays as it was"


def test_no_categorical_field_says_what_to_do(logs: dict[str, Any]) -> None:
    schema = Schema(fields=(Field(name="y", kind="label"), Field(name="d", kind="dense")))
    with pytest.raises(OptionError, match=r"no categorical field.*Make one kind: categorical.*pocketrec data check"):
        check_schema(config_of(logs["ranks"]), schema)


def test_columns_may_be_named_again(logs: dict[str, Any], cache: Path) -> None:
    config = config_of(logs["ranks"], method="full", budget="1x")
    sizing = size_run(config, open_data(config, cache))
    assert with_columns(sizing, logs["ranks"].schema) == sizing


def test_both_ceilings_are_kept(logs: dict[str, Any], cache: Path) -> None:
    config = config_of(logs["ranks"], method="full", budget="2x")
    dataset = open_data(config, cache)
    with pytest.raises(BudgetTooSmall, match=r"full needs at least .* serve bytes"):
        size_run(config, dataset)
    config = config_of(logs["ranks"], budget="2x", train_budget=100)
    with pytest.raises(BudgetTooSmall, match=r"min_count needs at least .* train bytes .* budget is 100"):
        size_run(config, dataset)


def test_a_schema_is_checked_against_the_method(logs: dict[str, Any]) -> None:
    mixed = logs["mixed"]
    check_schema(config_of(mixed, method="robe", budget=1000), mixed.schema)
    with pytest.raises(OptionError, match="narrow takes ids of space rank, plain; field 'user' has hash63 ids"):
        check_schema(config_of(mixed, method="narrow"), mixed.schema)
    with pytest.raises(BudgetTextError, match="'user' is open"):
        check_schema(config_of(mixed, method="robe", budget="2x"), mixed.schema)
    check_schema(config_of(logs["ranks"]), logs["ranks"].schema)
