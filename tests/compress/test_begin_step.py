"""What is done before a step."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pocketrec.compress import build, size
from pocketrec.compress.begin_step import begin_step, fit_steps
from pocketrec.compress.group import Group
from pocketrec.compress.learned_steps import steps_of
from pocketrec.testing.cases import groups_of, small_tables, zipf_stats

TABLES = small_tables("rank")


def group(method: str, **options: Any) -> Group:
    return groups_of(build(size(TABLES, 2000, method, stats=zipf_stats(TABLES), **options), seed=0))[0]


def test_only_who_asks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    for method, storage in (("min_count", "float32"), ("min_count", "lsq"), ("min_count", "int4_table")):
        own = group(method, storage=storage)
        monkeypatch.setattr(type(own.method), "before_step", lambda *_, **known: told.append(known["step"]))
        before = {name: t.clone() for name, t in own.tensors().items()}
        begin_step(own, step=3, rows=9, held_out=False)
        changed = [name for name, t in own.tensors().items() if not torch.equal(t, before[name])]
        assert changed == (["rows.step"] if storage == "int4_table" else [])
    assert told == []


@pytest.mark.parametrize("method", ["cafe", "ada_embed"])
def test_rows_that_belong_to_no_table_have_one_step(method: str) -> None:
    own = group(method, storage="int4_table")
    fit_steps(own, due=True)
    for rows, steps in zip(own.regions(), steps_of(own), strict=True):
        sizes = [int(t.settings.get("rows", -1)) for t in own.sizing.tables]
        if sum(sizes) != len(rows):
            assert len(steps.unique()) == 1
            assert float(steps[0]) == pytest.approx(max(2.0**-14, float(rows.detach().abs().max() / 7)))
            return
    raise AssertionError("choose another method")


def test_rows_of_zeros_have_the_least_step() -> None:
    own = group("min_count", storage="int4_table")
    own.tensor("rows").data.zero_()
    fit_steps(own, due=True)
    assert float(own.tensor("rows.step").min()) == 2.0**-14
