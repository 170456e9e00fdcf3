from __future__ import annotations

import torch

from pocketrec.compress import build, size
from pocketrec.compress.methods.full import METHOD
from pocketrec.spec.table import TableSpec
from pocketrec.testing.cases import public_tables
from pocketrec.testing.method_contract import MethodContract


class TestFull(MethodContract):
    method = METHOD

    def test_bytes_are_rows_times_stored_rows(self) -> None:
        tables = public_tables("rank", dim=16)
        rows = sum(t.closed_rows for t in tables)
        for storage, row_bytes in {"float32": 64, "float16": 32, "bfloat16": 32, "int8": 24, "int4": 12}.items():
            assert size(tables, "1x", "full", storage=storage).serve_bytes == rows * row_bytes

    def test_every_rank_is_told_apart_and_no_plain_id(self) -> None:
        assert size([TableSpec(name="t", rows=9, dim=2, ids="rank")], "1x").of("t").told_apart == 8
        assert size([TableSpec(name="t", rows=9, dim=2, ids="plain")], "1x").vocabulary_bytes == 0

    def test_every_table_starts_from_its_own_rows(self) -> None:
        tables = [TableSpec(name="few", rows=4, dim=500), TableSpec(name="many", rows=10_000, dim=500)]
        bank = build(size(tables, "1x"), seed=0)
        few, many = bank.rows("few", 0, 4), bank.rows("many", 0, 4)
        assert 0.49 < few.abs().max() <= 0.5, "sqrt(1 / rows), as DLRM"
        assert 0.0099 < many.abs().max() <= 0.01

    def test_from_dense_is_a_copy(self) -> None:
        tables = [TableSpec(name="a", rows=5, dim=3), TableSpec(name="b", rows=2, dim=3)]
        bank = build(size(tables, "1x"), seed=0)
        weights = {"a": torch.randn(5, 3), "b": torch.randn(2, 3)}
        with torch.no_grad():
            METHOD().from_dense(bank.group_of("a"), weights)
        assert torch.equal(bank.rows("a", 0, 5), weights["a"])
        assert torch.equal(bank.rows("b", 0, 2), weights["b"])
