"""Tables in, bytes out: methods decide for a budget, banks hold exactly what was decided.

>>> from pocketrec.spec.table import TableSpec
>>> tables = [TableSpec(name="item", rows=1000, dim=16), TableSpec(name="user", rows=50, dim=16)]
>>> sizing = size(tables, "16x", method="hash_rows")
>>> sizing.budget_bytes, sizing.serve_bytes
(4200, 4168)
>>> from pocketrec.compress import build, freeze
>>> bank = build(sizing, seed=0)
>>> freeze(bank).held_bytes()
4168
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pocketrec.compress.method import METHODS, Method, of
from pocketrec.spec.budget import Budget
from pocketrec.spec.errors import BudgetTooSmall, OptionError
from pocketrec.spec.optimizer import OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.stats import TableStats
from pocketrec.spec.table import TableSpec

if TYPE_CHECKING:
    from pocketrec.compress.bank import Bank
    from pocketrec.compress.build import attach, build, layout, restart, settled, stages
    from pocketrec.compress.freeze import freeze

__all__ = [
    "METHODS", "Bank", "Method", "attach", "build", "freeze", "join", "layout", "of", "restart", "settled", "size",
    "stages",
]  # fmt: skip

# Whatever makes tensors is imported when it is asked for: sizing is arithmetic and answers without torch.
_WITH_TENSORS = {
    "Bank": "bank", "attach": "build", "build": "build", "layout": "build", "restart": "build",
    "settled": "build", "stages": "build", "freeze": "freeze",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _WITH_TENSORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WITH_TENSORS[name]}"), name)


class _Package(ModuleType):
    """This package, whose `build` and `freeze` are functions although modules of these names stand in it.

    Python binds a submodule to its parent as soon as anybody imports it, which would hide the function of its name.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _WITH_TENSORS and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def size(
    tables: Sequence[TableSpec],
    budget: Budget | str | int,
    method: str | Method = "full",
    *,
    stats: Mapping[str, TableStats] | None = None,
    optimizer: OptimizerSpec | None = None,
    **options: Any,
) -> Sizing:
    """Decide how tables fit into a budget. No tensor is made: terabytes can be sized on a laptop.

    Args:
        tables: the tables, one dim.
        budget: ``"64MiB"``, ``"16x"``, ``"5%"`` or an int of bytes.
        method: a name (see ``METHODS.names()``) with `options`, or a method.
        stats: frequencies by table name, for methods that need them.
        optimizer: whose state counts as training bytes.
        options: of the method.

    Raises:
        BudgetTooSmall: names the floor. UnknownName, OptionError: a name, option or table that does not fit.
    """
    chosen = of(method, options) if isinstance(method, str) else replace(method, **options)
    return chosen.size(tables, budget, stats=stats, optimizer=optimizer)


def join(sizings: Sequence[Sizing], order: Sequence[str], budget: Budget | str | int) -> Sizing:
    """One sizing from several over disjoint tables: a bank that mixes methods.

    Args:
        sizings: sizings with equal optimizers.
        order: names of all tables, in the order of the bank's columns.
        budget: the ceiling for all together.

    Raises:
        BudgetTooSmall: the sizings together are above the budget.
    """
    if len({s.optimizer for s in sizings}) != 1:
        raise OptionError("Sizings that are joined must have one optimizer.")
    groups = tuple(g for s in sizings for g in s.groups)
    tables = [t.table for g in groups if g.joins == "alone" for t in g.tables]  # others hold the same ones once more
    allowed = Budget.parse(budget).resolve(tables)
    joined = Sizing(
        groups=groups, order=tuple(order), budget_bytes=allowed, optimizer=sizings[0].optimizer,
        notes=tuple(dict.fromkeys(n for s in sizings for n in s.notes)),
    )  # fmt: skip
    if joined.serve_bytes > allowed:
        raise BudgetTooSmall(joined.method, allowed, joined.serve_bytes)
    return joined
