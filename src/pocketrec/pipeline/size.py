"""The sizing of a run: its tables and counts, its method, its budget."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pocketrec.compress import of
from pocketrec.data.dataset import Dataset
from pocketrec.data.split import Through
from pocketrec.models import MODELS
from pocketrec.pipeline.config import RunConfig
from pocketrec.spec.budget import Budget
from pocketrec.spec.errors import OptionError
from pocketrec.spec.schema import Schema
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import TableSpec

__all__ = ["check_schema", "method_options", "row_dim", "size_run", "told_apart", "with_columns"]


def row_dim(config: RunConfig) -> int:
    """Numbers per row of the tables: those of a vector, and the first-order weight if the model has one."""
    return MODELS.get(config.model.name).vector_dim(config.dim)


def method_options(config: RunConfig) -> dict[str, Any]:
    """The method's options as they were set; without ``init``, tables start as the model asks (`Model.table_init`)."""
    init = MODELS.get(config.model.name).table_init
    return {**({} if init is None else {"init": init}), **config.options}


def check_schema(config: RunConfig, schema: Schema) -> None:
    """Refuse before any data is read what cannot be trained on this schema, or not by this method.

    Raises:
        OptionError: no label, no categorical field, ids that the method does not take, or an epoch to be chosen within
            users that the schema does not name. BudgetTextError: a relative budget and a table whose rows nobody knows.
    """
    if schema.label is None:
        raise OptionError("The schema has no field of kind label, and training learns from labels.")
    if not schema.tables:
        raise OptionError(
            "The schema has no categorical field, so there are no tables to store. Make one kind: categorical: ids, "
            "names, codes, or numbers of which there are few; `pocketrec data check FILE` says which columns there are."
        )
    if config.train.choose_by == "gauc" and schema.user is None:
        raise OptionError(
            "train.choose_by is gauc, and the schema does not say which field is the user. Name it: user."
        )
    taken = of(config.method, config.options).traits.ids
    for f in schema.tables:
        if f.ids not in taken:
            raise OptionError(
                f"{config.method} takes ids of space {', '.join(taken)}; field {f.name!r} has {f.ids} ids. "
                "Choose another method, or other ids in the schema."
            )
    open_tables = [
        TableSpec(name=f.table_name, rows=None, dim=row_dim(config), ids=f.ids)
        for f in schema.tables
        if f.ids == "hash63"
    ]
    if open_tables:
        Budget.parse(config.budget).resolve(open_tables)


def size_run(config: RunConfig, dataset: Dataset, through: Through = "train") -> Sizing:
    """What the run's method decides for the tables and counts of the rows up to `through`.

    Raises:
        BudgetTooSmall: names the floor.
    """
    budget = Budget.parse(config.budget, train=config.train_budget)
    sizing = of(config.method, method_options(config)).size(
        dataset.table_specs(row_dim(config), through), budget, stats=dataset.table_stats(through),
        optimizer=config.optimizer,
    )  # fmt: skip
    return with_columns(sizing, dataset.schema)


def with_columns(sizing: Sizing, schema: Schema) -> Sizing:
    """The same sizing for a bank whose columns are the schema's categorical fields; fields may share a table."""
    return replace(sizing, order=tuple(f.table_name for f in schema.categorical))


def told_apart(sizing: Sizing, schema: Schema) -> dict[str, int]:
    """Per table that the schema gives ranks: how many of its tokens the sizing must tell apart."""
    return {f.table_name: sizing.of(f.table_name).told_apart for f in schema.tables if f.ids == "rank"}
