"""The checks of lookups find faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from pocketrec.compress.bank import Bank
from pocketrec.compress.methods.robe import Robe
from pocketrec.testing.lookup_checks import LookupChecks

Make = Callable[[Any], Any]
Check = Callable[[LookupChecks], None]


def with_addressing(change: Callable[[Any], Any]) -> Make:
    """An access whose addressings are changed."""

    def make(kept: Any) -> Any:
        def access(self: Any, sizing: Any, tensors: Any) -> Any:
            found = kept(self, sizing, tensors)
            return replace(found, addressing=[change(a) for a in found.addressing])

        return access

    return make


FAULTS: dict[str, tuple[str, Make, Check]] = {
    "rows beyond the end": (
        "access", with_addressing(lambda a: replace(a, start=a.start + 1)),
        lambda c: c.test_addresses_stay_inside({}, "rank"),
    ),
    "unknown ids that read the last row": (
        "access", with_addressing(lambda a: replace(a, fold=a.rows - 1)),
        lambda c: c.test_ids_beyond_the_rows({}, "rank"),
    ),
    "unknown ids that read nothing": (
        "access", with_addressing(lambda a: replace(a, fold=-1)), lambda c: c.test_ids_beyond_the_rows({}, "rank"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str, finds: Callable[..., None]) -> None:
    finds(LookupChecks, *FAULTS[fault])


def changed_forward(change: Callable[[torch.Tensor, tuple[Any, ...]], torch.Tensor]) -> Any:
    kept = Bank.forward
    return lambda self, *arguments: change(kept(self, *arguments), arguments)


BANK_FAULTS: dict[str, tuple[Any, Check]] = {
    "vectors that depend on their place": (
        lambda v, a: v + 1e-3 * torch.arange(len(v)).view(-1, *[1] * (v.dim() - 1)) if len(v) else v,
        lambda c: c.test_an_id_has_one_vector({}, "plain"),
    ),
    "means that are sums": (
        lambda v, a: v * 2 if a[1:] and a[3:] == ("mean",) else v,
        lambda c: c.test_bags_equal_the_loop_over_their_ids({}, "plain"),
    ),
    "empty bags that are not zeros": (
        lambda v, a: torch.where(v == 0, torch.ones(()), v),
        lambda c: c.test_bags_equal_the_loop_over_their_ids({}, "plain"),
    ),
    "padding that is read": (
        lambda v, a: torch.where(v == 0, torch.ones(()), v),
        lambda c: c.test_padding_reads_zeros({}, "plain"),
    ),
    "vectors of another table": (
        lambda v, a: v.flip(1),
        lambda c: c.test_lookups_equal_dense_tables({}, "plain", "float32"),
    ),
}


@pytest.mark.parametrize("fault", BANK_FAULTS)
def test_a_fault_of_the_bank_is_found(fault: str, monkeypatch: pytest.MonkeyPatch, broken: Callable[..., Any]) -> None:
    change, check = BANK_FAULTS[fault]
    contract = broken(LookupChecks, "storage", lambda kept: kept)
    check(contract)
    monkeypatch.setattr(Bank, "forward", changed_forward(change))
    with pytest.raises(AssertionError):
        check(contract)


def test_ids_that_pass_through_floats_or_int32_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    contract = type("Contract", (LookupChecks,), {"method": Robe})()
    contract.test_large_ids_keep_all_their_bits({})
    for narrow in (lambda ids: ids.to(torch.float32).to(torch.int64), lambda ids: ids & 0x7FFFFFFF):
        with monkeypatch.context() as patch:
            kept = Bank.forward
            patch.setattr(Bank, "forward", lambda self, ids, kept=kept, narrow=narrow: kept(self, narrow(ids)))
            with pytest.raises(AssertionError, match="of 200 ids near"):
                contract.test_large_ids_keep_all_their_bits({})
