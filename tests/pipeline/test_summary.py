"""The line of result."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pocketrec.compress import METHODS, join, size
from pocketrec.metrics.early_warnings import early_warnings
from pocketrec.pipeline.summary import peak_rss_bytes, table_bytes
from pocketrec.spec.result import Result
from pocketrec.spec.table import TableSpec
from pocketrec.testing.cases import kept_in

TABLES = [TableSpec(name="item", rows=900, dim=8, ids="rank"), TableSpec(name="site", rows=40, dim=8, ids="rank")]


@pytest.mark.parametrize("storage", ["float32", "int8", "int4"])
@pytest.mark.parametrize("method", METHODS.names())
def test_bytes_by_table_add_up_to_the_promise(method: str, storage: str) -> None:
    sizing = size(TABLES, 16_000 if method not in ("full", "dhe") else "1x", method, storage=kept_in(method, storage))
    found = table_bytes(sizing)
    assert sum(found.values()) == sizing.serve_bytes
    assert all(amount > 0 for amount in found.values())
    assert set(found) <= {"item", "site", *(f"{group.method} (shared)" for group in sizing.groups)}


def test_tables_with_rows_of_their_own_are_named() -> None:
    assert table_bytes(size(TABLES, "1x", "full")) == {"item": 28_800, "site": 1_280}
    hashed = table_bytes(size(TABLES, "10x", "hash_rows"))
    assert (hashed["site"], hashed["hash_rows (shared)"]) == (1_280, 8)
    assert set(table_bytes(size(TABLES, "10x", "robe"))) == {"robe (shared)"}


def test_a_bank_of_two_methods() -> None:
    sizings = [size(TABLES[:1], 3000, "robe"), size(TABLES[1:], "1x", "full")]
    both = join(sizings, ["item", "site"], 10_000)
    assert table_bytes(both) == {"robe (shared)": 3000, "site": 1_280}


def test_hot_rows_and_those_of_the_cold_method_are_added_up() -> None:
    sizing = size(TABLES, 16_000, "offline_split", cold="hash_rows")
    hot, cold = sizing.groups
    found = table_bytes(sizing)
    for name, h, c in zip(("item", "site"), hot.tables, cold.tables, strict=True):
        assert found[name] == 32 * (h.settings["rows"] + c.settings["rows"])
    assert found["hash_rows (shared)"] == 8
    robe = table_bytes(size(TABLES, 16_000, "offline_split", cold="robe"))
    assert sum(robe.values()) == size(TABLES, 16_000, "offline_split", cold="robe").serve_bytes
    assert set(robe) == {"item", "site", "robe (shared)"}


def rows_per_s(history: Sequence[dict[str, Any]]) -> float:
    from pocketrec.pipeline.summary import _rows_per_s

    return _rows_per_s(list(history))


def test_speed_is_all_rows_over_all_seconds() -> None:
    history = [{"rows_per_s": 100.0, "seconds": 1.0}, {"rows_per_s": 10.0, "seconds": 10.0}]
    assert rows_per_s(history) == pytest.approx(200 / 11)
    assert rows_per_s([{"rows_per_s": 0.0, "seconds": 0.0}]) == 0.0


def test_the_line_survives_json(runs: Callable[..., Any]) -> None:
    result = runs("hash_rows", "int8").trained.result
    assert Result.from_json_line(result.to_json_line()) == result
    assert result.train_bytes > result.promised_bytes
    assert result.dense_bytes > 0
    assert result.progressive is not None
    assert result.progressive.rows == 960
    assert result.warnings == tuple(warning.text for warning in early_warnings(result))


def test_the_peak_is_that_of_this_process_and_not_of_the_one_that_started_it() -> None:
    ballast = bytearray(400 << 20)
    ballast[:: 1 << 12] = b"x" * len(ballast[:: 1 << 12])
    program = "from pocketrec.pipeline.summary import peak_rss_bytes; print(peak_rss_bytes())"
    grown = peak_rss_bytes()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert grown > len(ballast)
    assert 20 << 20 < int(done.stdout) < grown - (200 << 20)


def test_candidates_that_were_scored_are_neither_epochs_nor_rows_that_trained() -> None:
    from pocketrec.pipeline.summary import _curve

    plain = {"stage": "train", "rows_per_s": 100.0, "seconds": 1.0, "auc": 0.6}
    trained = [plain | {"train_loss": 0.7 - 0.1 * n} for n in range(2)]
    search = {"stage": "search", "rows_per_s": 1e6, "seconds": 50.0, "candidates": 9, "auc": 0.9}
    assert rows_per_s([trained[0], search, trained[1]]) == pytest.approx(100.0)
    assert _curve([trained[0], search, trained[1]]) == _curve(trained)


def test_epochs_of_several_stages_say_which() -> None:
    from pocketrec.pipeline.summary import _curve

    plain = {"rows_per_s": 100.0, "seconds": 1.0, "train_loss": 0.5}
    found = _curve([plain | {"stage": name} for name in ("warm", "again", "again")])
    assert [(point["epoch"], point["stage"]) for point in found] == [(1, 1), (2, 2), (3, 2)]
    assert "stage" not in _curve([plain | {"stage": "train"}] * 2)[0]
