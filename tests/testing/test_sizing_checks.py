"""The checks of arithmetic find faults: each below breaks one promise of a sound method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pocketrec.compress.holdings import Rows
from pocketrec.compress.method import Traits
from pocketrec.spec.errors import BudgetTooSmall
from pocketrec.spec.stage import Stage
from pocketrec.testing.sizing_checks import SizingChecks

Make = Callable[[Any], Any]
Check = Callable[[SizingChecks], None]


def ignores_the_floor(kept: Any) -> Any:
    def size(self: Any, tables: Any, budget: Any, **keywords: Any) -> Any:
        try:
            return kept(self, tables, budget, **keywords)
        except BudgetTooSmall:
            return kept(self, tables, "1x", **keywords)

    return size


def freezes_in_float(kept: Any) -> Any:
    def frozen(self: Any, group: Any) -> Any:
        rows = group.tensor("rows").detach().clone()
        spec = replace(group.sizing.serve[0], shape=tuple(rows.shape), dtype="float32")
        return replace(group.sizing, serve=(spec,)), {"rows": rows}

    return frozen


def two_stages_of_one_name(kept: Any) -> Any:
    return lambda self, sizing, optimizer: ((Stage(name="train"), sizing), (Stage(name="train"), sizing))


def holds_a_row_more(kept: Any) -> Any:
    return lambda self, tables, settings: (Rows("rows", kept(self, tables, settings)[0].rows + 1, tables[0].table.dim),)


FAULTS: dict[str, tuple[str, Make, Check]] = {
    "a floor that is too high": (
        "least_bytes", lambda kept: lambda self, tables: kept(self, tables) + 1,
        lambda c: c.test_floor_is_exact({}, "float32"),
    ),
    "a floor that is too low": (
        "least_bytes", lambda kept: lambda self, tables: kept(self, tables) - 1,
        lambda c: c.test_floor_is_exact({}, "float32"),
    ),
    "a budget that is not kept": ("size", ignores_the_floor, lambda c: c.test_promised_is_held({}, "float32", 2)),
    "more than was promised": ("holdings", holds_a_row_more, lambda c: c.test_promised_is_held({}, "float32", 1)),
    "a frozen form in other numbers": ("frozen", freezes_in_float, lambda c: c.test_floor_is_exact({}, "int8")),
    "stages that are not there": (
        "traits", lambda kept: Traits(staged=True), lambda c: c.test_stages_fit_their_traits({}),
    ),
    "stages that are not said": ("stages", two_stages_of_one_name, lambda c: c.test_stages_fit_their_traits({})),
    "another name than its file's": ("name", lambda kept: "fuller", lambda c: c.test_has_a_card_and_a_name()),
    "options that do not come back": (
        "options", lambda kept: lambda self: {**kept(self), "init": None},
        lambda c: c.test_options_survive_json({}, "float32"),
    ),
    "a size without memory of its own": (
        "group_sizing", lambda kept: lambda self, *a: replace(kept(self, *a), state=()),
        lambda c: c.test_training_bytes_count_the_optimizer({}, "adagrad"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str, finds: Callable[..., None]) -> None:
    finds(SizingChecks, *FAULTS[fault])


def test_a_card_without_its_headings_is_found(monkeypatch: pytest.MonkeyPatch, broken: Callable[..., Any]) -> None:
    from pocketrec.compress.methods import full

    contract = broken(SizingChecks, "storage", lambda kept: kept)
    card = full.__doc__ or ""
    for heading in ("Paper:", "Bytes:", "Use when:", "Did not help when:"):
        monkeypatch.setattr(full, "__doc__", card.replace(f"\n{heading}", "\nElse:"))
        with pytest.raises(AssertionError):
            contract.test_has_a_card_and_a_name()
    monkeypatch.setattr(full, "__doc__", card)
    contract.test_has_a_card_and_a_name()
