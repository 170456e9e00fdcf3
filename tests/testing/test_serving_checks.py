"""The checks of resume, frozen forms and foreign memory find faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pocketrec.compress.group import Group
from pocketrec.compress.methods.full import Full
from pocketrec.testing.serving_checks import ServingChecks

Make = Callable[[Any], Any]
Check = Callable[[ServingChecks], None]


def forgets_its_state(kept: Any) -> Any:
    def access(self: Any, sizing: Any, tensors: Any) -> Any:
        if "rows.sum" in tensors:
            tensors["rows.sum"].zero_()
        return kept(self, sizing, tensors)

    return access


def mixes_rows_up(kept: Any) -> Any:
    def frozen(self: Any, group: Group) -> Any:
        sizing, held = kept(self, group)
        held["rows"][3] = held["rows"][4].clone()
        return sizing, held

    return frozen


FAULTS: dict[str, tuple[str, Make, Check]] = {
    "state that a resume loses": (
        "access", forgets_its_state, lambda c: c.test_resume_is_exact({}, "rank", "bfloat16_trained"),
    ),
    "rows that freezing mixes up": (
        "frozen", mixes_rows_up, lambda c: c.test_freezing_stays_within_a_step({}, "int8"),
    ),
    "a frozen form that shares memory": (
        "frozen", lambda kept: lambda self, group: (group.sizing, {"rows": group.tensor("rows").detach()}),
        lambda c: c.test_freezing_leaves_the_bank_alone({}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str, finds: Callable[..., None]) -> None:
    finds(ServingChecks, *FAULTS[fault])


def test_a_map_that_is_copied_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    contract = type("Contract", (ServingChecks,), {"method": Full})()
    contract.test_a_memory_map_is_served_without_copying({}, "int8", tmp_path)
    kept = Group._hold
    monkeypatch.setattr(
        Group, "_hold", lambda group, spec, tensors: kept(group, spec, {n: t.clone() for n, t in tensors.items()})
    )
    with pytest.raises(AssertionError, match="was copied out of the map"):
        contract.test_a_memory_map_is_served_without_copying({}, "int8", tmp_path)


def test_tensors_of_a_wrong_shape_that_pass_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    contract = type("Contract", (ServingChecks,), {"method": Full})()
    contract.test_missing_and_wrong_tensors_are_refused({})

    kept = Group._hold

    def careless(group: Group, spec: Any, tensors: Any) -> None:
        kept(group, replace(spec, shape=tuple(tensors[spec.name].shape)) if spec.name in tensors else spec, tensors)

    monkeypatch.setattr(Group, "_hold", careless)
    with pytest.raises(AssertionError, match="ArtifactError was not raised"):
        contract.test_missing_and_wrong_tensors_are_refused({})


def test_a_lookup_that_python_decides_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be traced breaks the whole graph."""
    contract = type("Contract", (ServingChecks,), {"method": Full})()
    kept = Group.lookup

    def decides(group: Group, ids: Any, *arguments: Any, **keywords: Any) -> Any:
        return kept(group, ids, *arguments, **keywords) * (1 if int(ids[0, 0]) else 2)

    monkeypatch.setattr(Group, "lookup", decides)
    with pytest.raises(Exception, match=r"(?i)data-dependent|could not|item"):
        contract.test_exported_equals_eager({}, "float32")
    assert torch.compiler.is_compiling() is False
