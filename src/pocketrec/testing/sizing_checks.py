"""Checks of a method's arithmetic: floors, promises, refusals, JSON."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, get_args

from pocketrec.compress import build, freeze, layout, stages
from pocketrec.compress.method import METHODS, of
from pocketrec.compress.storage import STORAGES
from pocketrec.compress.worth import TableWorth
from pocketrec.spec.budget import Budget, dense_float32_bytes
from pocketrec.spec.errors import BudgetTooSmall, OptionError
from pocketrec.spec.optimizer import OptimizerName, OptimizerSpec
from pocketrec.spec.sizing import Sizing
from pocketrec.spec.table import IdSpace
from pocketrec.testing.cases import Cases, public_tables, refusal, storages_of, zipf_stats

__all__ = ["CARD", "SizingChecks"]

CARD = ("Paper:", "Bytes:", "Use when:", "Did not help when:")
_TERABYTE_LIMIT_S = 5.0


class SizingChecks(Cases):
    """No lookups here."""

    def test_has_a_card_and_a_name(self) -> None:
        module = inspect.getmodule(self.method)
        assert module is not None
        lines = (module.__doc__ or "").splitlines()
        assert lines, f"{module.__name__} has no docstring"
        assert lines[0].endswith((".", ":")), "the card's first line says in plain words what the method does"
        heads = [line for line in lines if line.startswith(CARD)]
        assert [next(h for h in CARD if head.startswith(h)) for head in heads] == list(CARD), (
            f"card of {module.__name__}"
        )
        assert module.__name__.rsplit(".", 1)[-1] == self.method.name, "the file's name is the method's name"
        assert self.method.name in METHODS.names()

    def test_options_survive_json(self, variant: Mapping[str, Any], storage: str) -> None:
        method = of(self.method.name, {**variant, "storage": storage, "init": 0.25})
        again = of(method.name, json.loads(json.dumps(method.options())))
        assert again == method
        sizing = self.sized(variant, self.spaces(variant)[0], storage=storage)
        assert Sizing.from_json(json.loads(json.dumps(sizing.to_json()))) == sizing

    def test_unknown_options_are_refused(self) -> None:
        refusal(OptionError, lambda: of(self.method.name, {"no_such_option": 1}), "no_such_option")
        refusal(OptionError, lambda: of(self.method.name, {"init": -1.0}), "init")

    def test_other_storages_are_refused(self) -> None:
        for storage in set(STORAGES.names()) - set(storages_of(self.method)):
            refusal(OptionError, partial(of, self.method.name, {"storage": storage}), "storage must be")

    def test_other_id_spaces_are_refused(self) -> None:
        for space in get_args(IdSpace):
            if space not in self.spaces({}):
                tables = public_tables(space)
                refusal(OptionError, partial(of(self.method.name).size, tables, "1x"), space)

    def test_promised_is_held(self, variant: Mapping[str, Any], storage: str, ratio: int) -> None:
        tables = public_tables(self.spaces(variant)[0])
        method, budget_bytes = of(self.method.name, {**variant, "storage": storage}), 0
        budget_bytes = dense_float32_bytes(tables) // ratio
        floor = method.least_bytes(tables)
        if floor > budget_bytes:
            error = refusal(BudgetTooSmall, lambda: method.size(tables, f"{ratio}x", stats=zipf_stats(tables)))
            assert (error.least_bytes, error.budget_bytes) == (floor, budget_bytes)
            return
        sizing = method.size(tables, f"{ratio}x", stats=zipf_stats(tables))
        assert floor <= sizing.serve_bytes <= sizing.budget_bytes == budget_bytes
        assert sizing.unused_bytes == budget_bytes - sizing.serve_bytes
        self._holds_what_it_promised(sizing)

    def test_floor_is_exact(self, variant: Mapping[str, Any], storage: str) -> None:
        for tables in (public_tables(self.spaces(variant)[0]), public_tables(self.spaces(variant)[0])[7:9]):
            method = of(self.method.name, {**variant, "storage": storage})
            floor = method.least_bytes(tables)
            sizing = method.size(tables, floor, stats=zipf_stats(tables))
            assert sizing.serve_bytes == floor
            self._holds_what_it_promised(sizing)
            error = refusal(BudgetTooSmall, partial(method.size, tables, floor - 1, stats=zipf_stats(tables)))
            assert (error.least_bytes, error.budget_bytes, error.what) == (floor, floor - 1, "serve")

    def _holds_what_it_promised(self, sizing: Sizing) -> None:
        bank = self.bank(sizing)
        assert sum(place.spec.nbytes for place in layout(sizing, "train")) == sizing.train_bytes
        assert sum(place.spec.nbytes for place in layout(sizing, "serve")) == sizing.serve_bytes
        assert bank.held_bytes() == sizing.train_bytes
        served = freeze(bank)
        assert served.held_bytes() == served.sizing.serve_bytes == sizing.serve_bytes
        assert sum(t.numel() * t.element_size() for t in served.tensors().values()) == sizing.serve_bytes

    def test_what_is_kept_of_a_table_is_a_share_that_grows_with_bytes(self, variant: Mapping[str, Any]) -> None:
        method = of(self.method.name, variant)
        table = max(public_tables(self.spaces(variant)[0]), key=lambda t: t.rows or 0)
        stats = {table.name: zipf_stats([table])[table.name]}
        worth = TableWorth(stats=stats[table.name], prior_rows=20.0)
        floor, shares = method.least_bytes([table]), []
        for nbytes in (floor, 2 * floor, 8 * floor, floor + dense_float32_bytes([table])):
            shares.append(method.kept(method.size([table], nbytes, stats=stats).groups, worth))
        if None in shares:
            assert shares == [None] * 4, "a law holds at every size"
            return
        known = [share for share in shares if share is not None]
        assert 0 <= known[0] <= known[-1] <= 1
        assert known == sorted(known)
        assert known[-1] > 0.9, "nearly all, with bytes for all rows"

    def test_layout_is_aligned_and_disjoint(self, variant: Mapping[str, Any], storage: str) -> None:
        sizing = self.sized(variant, self.spaces(variant)[0], storage=storage)
        for placements in (layout(sizing, "train"), layout(sizing, "serve")):
            end = 0
            for placed in placements:
                assert placed.offset_bytes % 64 == 0
                assert placed.offset_bytes >= end
                end = placed.offset_bytes + placed.spec.nbytes

    def test_training_bytes_count_the_optimizer(self, variant: Mapping[str, Any], optimizer: OptimizerName) -> None:
        sizing = self.sized(variant, self.spaces(variant)[0], optimizer=OptimizerSpec(name=optimizer))
        assert self.bank(sizing).held_bytes() == sizing.train_bytes
        state = sum(s.nbytes for g in sizing.groups for s in g.state)
        assert (state > 0) == (optimizer != "sgd")

    def test_a_training_ceiling_is_kept(self, variant: Mapping[str, Any]) -> None:
        sizing = self.sized(variant, self.spaces(variant)[0])
        largest = max(s.train_bytes for _, s in stages(sizing))
        tables, method = tuple(sizing.of(name).table for name in sizing.order), of(self.method.name, variant)
        allowed, stats = Budget(serve_bytes=sizing.budget_bytes, train_bytes=largest), zipf_stats(tables)
        assert method.size(tables, allowed, stats=stats) == sizing
        short = replace(allowed, train_bytes=largest - 1)
        error = refusal(BudgetTooSmall, lambda: method.size(tables, short, stats=stats))
        assert (error.what, error.least_bytes) == ("train", largest)

    def test_a_terabyte_is_sized_without_memory(self, variant: Mapping[str, Any]) -> None:
        tables = public_tables(self.spaces(variant)[0], of="terabyte", scale="1", dim=288)
        assert dense_float32_bytes(tables) > 10**12, "not even a terabyte"
        began = time.perf_counter()
        method = of(self.method.name, variant)
        sizing = method.size(tables, max(dense_float32_bytes(tables) // 16, method.least_bytes(tables)))
        bank = build(sizing, seed=0, device="meta")
        assert bank.held_bytes() == sizing.train_bytes
        assert all(t.device.type == "meta" for name, t in bank.tensors().items() if name != "steps")
        assert time.perf_counter() - began < _TERABYTE_LIMIT_S

    def test_stages_fit_their_traits(self, variant: Mapping[str, Any]) -> None:
        sizing = self.sized(variant, self.spaces(variant)[0])
        plan = stages(sizing)
        assert (len(plan) > 1) == of(self.method.name, variant).traits.staged
        assert plan[-1][1] == sizing, "the last stage is what was promised"
        assert len({stage.name for stage, _ in plan}) == len(plan)
