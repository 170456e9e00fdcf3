"""Costs are those of the clock, for what can be held."""

from __future__ import annotations

import itertools

from pocketrec.bench.lookup_costs import lookup_costs
from pocketrec.compress.fit import Tastes
from pocketrec.spec.table import TableSpec


def test_costs_are_nanoseconds_per_id_of_what_can_be_held() -> None:
    ticks = itertools.count(0, 40_960)
    tastes = Tastes(methods=("min_count", "hash_rows", "tt_rec"), storages=("float32", "int8"))
    tables = [TableSpec(name="a", rows=3000, dim=8, ids="rank"), TableSpec(name="b", rows=None, dim=8, ids="hash63")]
    found = lookup_costs(tastes, tables[:1], clock=lambda: next(ticks))
    assert {k for k in found if k[0] != "tt_rec"} == {
        (m, s) for m in ("min_count", "hash_rows") for s in ("float32", "int8")
    }  # fmt: skip
    assert set(found.values()) == {10.0}
    assert all(ns > 0 for ns in lookup_costs(tastes, tables[:1]).values())
