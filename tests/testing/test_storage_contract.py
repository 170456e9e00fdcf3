"""The suite finds faults in number formats."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pocketrec.compress.storage.int8 import Int8
from pocketrec.testing.storage_contract import StorageContract, _row_cases

CASES = _row_cases()


def changed(**overrides: object) -> StorageContract:
    """The contract on an int8 storage with some of its methods replaced."""
    storage = type("Broken", (Int8,), overrides)()  # type: ignore[misc]
    return type("Contract", (StorageContract,), {"storage": storage})()  # type: ignore[no-any-return]


def one_scale_for_all(self: Int8, rows: Tensor) -> Tensor:
    stored = Int8().encode(rows)
    stored[:, -8:] = stored[:1, -8:]
    return stored


FAULTS: dict[str, tuple[StorageContract, Callable[[StorageContract], None]]] = {
    "a scale for all rows": (
        changed(encode=one_scale_for_all), lambda c: c.test_rows_come_back_within_a_step(CASES["normal"]),
    ),
    "rounding down": (
        changed(decode=lambda self, stored, width: Int8().decode(stored, width) - 0.01),
        lambda c: c.test_rows_come_back_within_a_step(CASES["normal"]),
    ),
    "an error that promises too much": (
        changed(step_size=lambda self, rows: Int8().step_size(rows) / 4),
        lambda c: c.test_rows_come_back_within_a_step(CASES["one outlier"]),
    ),
    "rows that depend on each other": (
        changed(encode=one_scale_for_all), lambda c: c.test_rows_do_not_depend_on_each_other(CASES["normal"]),
    ),
    "bytes that are not counted": (
        changed(row_bytes=lambda self, width: width + 4),
        lambda c: c.test_rows_are_as_large_as_they_say(CASES["normal"]),
    ),
    "another row layout than the ops read": (
        changed(
            encode=lambda self, rows: Int8().encode(rows).roll(1, dims=1),
            decode=lambda self, stored, width: Int8().decode(stored.roll(-1, dims=1), width),
        ),
        lambda c: c.test_the_native_lookup_reads_it(CASES["normal"]),
    ),
    "an array that does not fit": (
        changed(most_weights=lambda self, budget_bytes: budget_bytes), lambda c: c.test_the_longest_array_that_fits(65),
    ),
    "input that is changed": (
        changed(encode=lambda self, rows: Int8().encode(rows.mul_(2))),
        lambda c: c.test_rows_come_back_within_a_step(CASES["normal"].clone()),
    ),
    "no card": (changed(), lambda c: c.test_has_a_card_and_a_name()),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str) -> None:
    contract, check = FAULTS[fault]
    with pytest.raises((AssertionError, RuntimeError)):
        check(contract)


@pytest.mark.parametrize("fault", [f for f in FAULTS if f != "no card"])
def test_the_check_passes_without_the_fault(fault: str) -> None:
    FAULTS[fault][1](changed())


def test_rows_that_quantisers_stumble_over_are_tried() -> None:
    assert {"zeros", "constant", "one outlier", "one number"} <= set(CASES)
    assert all(rows.dtype == torch.float32 for rows in CASES.values())
