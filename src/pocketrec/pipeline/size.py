"""The sizing of a run: its tables and counts, its method, its budget."""

from __future__ import annotations

from dataclasses import replace

from pocketrec.compress import of
from pocketrec.data.dataset import Dataset
from pocketrec.data.split import Through
from pocketrec.pipeline.config import RunConfig
from pocketrec.spec.budget import Budget
from pocketrec.spec.errors import OptionError
from pocketrec.spec.schema import Schema
from pocketrec.spec.sizing import Sizing

__all__ = ["size_run", "told_apart", "with_columns"]


def size_run(config: RunConfig, dataset: Dataset, through: Through = "train") -> Sizing:
    """What the run's method decides for the tables and counts of the rows up to `through`.

    Raises:
        BudgetTooSmall: names the floor.
    """
    tables = dataset.table_specs(config.dim, through)
    if not tables:
        raise OptionError("The schema has no categorical field, so there are no tables to store.")
    budget = Budget.parse(config.budget, train=config.train_budget)
    sizing = of(config.method, config.options).size(
        tables, budget, stats=dataset.table_stats(through), optimizer=config.optimizer
    )
    return with_columns(sizing, dataset.schema)


def with_columns(sizing: Sizing, schema: Schema) -> Sizing:
    """The same sizing for a bank whose columns are the schema's categorical fields; fields may share a table."""
    return replace(sizing, order=tuple(f.table_name for f in schema.categorical))


def told_apart(sizing: Sizing, schema: Schema) -> dict[str, int]:
    """Per table that the schema gives ranks: how many of its tokens the sizing must tell apart."""
    return {f.table_name: sizing.of(f.table_name).told_apart for f in schema.tables if f.ids == "rank"}
